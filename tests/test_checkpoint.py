"""Checkpoints: what comes back, and one sentence for each that cannot be used."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from galshift.errors import DataError
from galshift.models.build import build_model
from galshift.training.checkpoint import FORMAT, load_checkpoint, read_checkpoint, save_checkpoint
from galshift.training.state import load_state, save_state

CLASSES, BANDS = ("spiral", "elliptical", "merger"), ("g", "r")


def preprocessing() -> dict:
    """Return real constants, as a run would store them."""
    import numpy as np

    from galshift.data.cutouts import Cutouts, InMemory
    from galshift.data.preprocess import PreprocessConfig, fit_preprocessing

    pixels = np.random.default_rng(0).normal(size=(12, 2, 16, 16)).astype(np.float32)
    cutouts = Cutouts(
        pixels, unit="nJy", pixel_scale=0.4, bands=BANDS, labels=np.arange(12) % 3, classes=CLASSES
    )
    fitted = fit_preprocessing(InMemory(cutouts), np.arange(12), PreprocessConfig(), 0)
    return fitted.model_dump(mode="json")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = build_model("deepmerge", in_channels=2, size=16, n_classes=3, seed=5)
    return save_checkpoint(
        tmp_path, model, preprocessing=preprocessing(), classes=CLASSES, bands=BANDS, meta={"method": "mmd"}
    )


def test_round_trip(saved: Path) -> None:
    images = torch.randn(4, 2, 16, 16)
    model = build_model("deepmerge", in_channels=2, size=16, n_classes=3, seed=5).eval()
    for path in (saved, saved.parent, str(saved)):
        trained = load_checkpoint(path)
        assert torch.equal(trained.model(images).logits, model(images).logits)
        assert not trained.model.training
        assert (trained.classes, trained.bands, trained.meta) == (CLASSES, BANDS, {"method": "mmd"})
        assert trained.preprocessing.bands == list(BANDS)
        assert trained.path == saved
    assert not list(saved.parent.glob(".*"))


def test_others_may_read_what_they_may_read_of_any_file(saved: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert saved.stat().st_mode == plain.stat().st_mode


def change(path: Path, tensors=None, **header) -> None:
    """Rewrite a checkpoint with other tensors or header entries."""
    held, old = read_checkpoint(path)[0] | header, load_file(path)
    save_file(old if tensors is None else tensors(old), path, metadata={"galshift": json.dumps(held)})


def refused(path: Path, match: str) -> DataError:
    with pytest.raises(DataError, match=match) as caught:
        load_checkpoint(path)
    assert caught.value.exit_code == 4
    assert caught.value.where == str(path)
    assert "\n" not in str(caught.value)
    return caught.value


def test_wrong_shape(saved: Path) -> None:
    change(saved, lambda old: old | {"head.weight": torch.zeros(5, 32)})
    refused(saved, r"'head.weight' has shape \(5, 32\), and its network needs \(3, 32\)")


def test_missing_and_unknown_tensor(saved: Path) -> None:
    change(saved, lambda old: {name: value for name, value in old.items() if name != "head.bias"})
    refused(saved, "lacks the tensor 'head.bias'")
    change(saved, lambda old: old | {"head.bias": torch.zeros(3), "extra": torch.zeros(1)})
    refused(saved, "a tensor 'extra' that its network does not have")


@pytest.mark.parametrize("keep", [0, 4, 100, 3000, -1])
def test_truncated(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    refused(saved, "damaged or cut short")


def test_pickled_is_not_opened(saved: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    for number, content in enumerate((pickle.dumps(Bomb()), None)):
        path = tmp_path / f"pickled{number}.pt"
        path.write_bytes(content) if content else torch.save({"a": torch.zeros(1)}, path)
        refused(path, "pickled checkpoint")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("start", [b"\x80", b"PK"])
def test_a_header_as_long_as_a_pickles_first_bytes_say_is_read(saved: Path, start: bytes) -> None:
    """The length of the header, which is what a safetensors file begins with, is a multiple of 8."""
    length = int.from_bytes(saved.read_bytes()[:8], "little")
    wanted = next(n for n in range(length + 64, length + 200_000) if n % 8 == 0 and _begins(n, start))
    change(saved, meta={"method": "mmd", "pad": ""})
    spare = wanted - int.from_bytes(saved.read_bytes()[:8], "little")
    change(saved, meta={"method": "mmd", "pad": "x" * spare})
    assert saved.read_bytes()[: len(start)] == start
    assert load_checkpoint(saved).classes == CLASSES


def _begins(length: int, start: bytes) -> bool:
    return length.to_bytes(8, "little").startswith(start)


def test_newer_format(saved: Path) -> None:
    change(saved, format=FORMAT + 1, galshift="9.1.0")
    assert refused(saved, f"format {FORMAT + 1}, from galshift 9.1.0").hint == "update galshift"


def test_other_files(saved: Path, tmp_path: Path) -> None:
    refused(tmp_path / "nothing.safetensors", "there is no trained model")
    bare = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(1)}, bare)
    refused(bare, "without galshift's description")
    save_file({"a": torch.zeros(1)}, bare, metadata={"galshift": "{"})
    refused(bare, "description is damaged")
    save_file({"a": torch.zeros(1)}, bare, metadata={"galshift": json.dumps({"format": 1, "model": {}})})
    refused(bare, "lacks bands")


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ({"name": "os.system"}, "unknown model"),
        ({"version": 99}, "was version 99"),
        ({"options": {"exec": "x"}}, "options of the model"),
        ({"size": 4}, "too small"),
    ],
)
def test_a_network_that_cannot_be_rebuilt(saved: Path, spec: dict, match: str) -> None:
    change(saved, model=read_checkpoint(saved)[0]["model"] | spec)
    refused(saved, match)


def test_bad_preprocessing(saved: Path) -> None:
    change(saved, preprocessing={"size": "large"})
    refused(saved, "preprocessing is not valid")


def test_state_round_trip(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    state = {
        "optimizer": optimizer.state_dict(),
        "none": None,
        "list": [1, 2.5, torch.ones(2)],
        "x": 0.1 + 0.2,
    }
    save_state(tmp_path / "s.safetensors", state)
    back = load_state(tmp_path / "s.safetensors")
    assert back["x"] == state["x"]
    assert back["none"] is None
    assert torch.equal(back["list"][2], torch.ones(2))
    assert back["optimizer"]["state"][0].keys() == state["optimizer"]["state"][0].keys()
    assert torch.equal(back["optimizer"]["state"][0]["exp_avg"], state["optimizer"]["state"][0]["exp_avg"])
    assert back["optimizer"]["param_groups"][0]["betas"] == [0.9, 0.999]
