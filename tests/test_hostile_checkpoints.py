"""Edited checkpoints, encoders, runs and recipes: one sentence, and no memory for what they claim."""

from __future__ import annotations

import json
import os
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from galshift.errors import ConfigError, DataError, GalshiftError
from galshift.models.build import build_model
from galshift.recipes.loader import load_file as load_recipe
from galshift.training.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint
from tests.test_checkpoint import BANDS, CLASSES, preprocessing
from tests.test_encoders import convnext_shapes, folder, of_names

PICO = ((2, 2, 6, 2), (64, 128, 256, 512))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a small checkpoint that is right."""
    model = build_model("deepmerge", in_channels=2, size=16, n_classes=3, seed=5)
    path = tmp_path_factory.mktemp("sound")
    saved = save_checkpoint(path, model, preprocessing=preprocessing(), classes=CLASSES, bands=BANDS)
    return saved.read_bytes()


@pytest.fixture
def saved(sound: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(sound)
    return path


def refused(path: Path, load: Callable[[Path], object] = load_checkpoint) -> str:
    """Return the one sentence of a refusal, made within 600 MB more than now."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GalshiftError) as caught:
        load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 << 10
    said = str(caught.value)
    assert caught.value.exit_code == 4, said
    assert "\n" not in said
    assert str(path.parent) in said
    return said


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite a checkpoint's description."""
    header, tensors = read_checkpoint(path)[0], load_file(path)
    change(header)
    save_file(tensors, path, metadata={"galshift": json.dumps(header)})


def put(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change that puts `value` at a key path."""

    def change(header: dict[str, Any]) -> None:
        place = header
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


EDITS = {
    "meta_null": (put("meta", value=None), "'meta' is no mapping"),
    "meta_list": (put("meta", value=[]), "'meta' is no mapping"),
    "model_null": (put("model", value=None), "'model' is no mapping"),
    "model_list": (put("model", value=[1]), "'model' is no mapping"),
    "preprocessing_text": (put("preprocessing", value="x"), "'preprocessing' is no mapping"),
    "preprocessing_empty": (put("preprocessing", value={}), "preprocessing is not valid"),
    "classes_null": (put("classes", value=None), "'classes' are no list"),
    "classes_numbers": (put("classes", value=[1, 2, 3]), "'classes' are no list"),
    "classes_twice": (put("classes", value=["a", "a", "b"]), "names one of its classes twice"),
    "more_classes": (put("classes", value=["a", "b", "c", "d"]), "of 4 outputs"),
    "fewer_classes": (put("classes", value=["a", "b"]), "of 2 outputs"),
    "bands_more": (put("bands", value=["g", "r", "i"]), "of 3 bands"),
    "bands_text": (put("bands", value="gr"), "'bands' are no list"),
    "size_10_9": (put("model", "size", value=10**9), "1000000 is the limit"),
    "size_10_6": (put("model", "size", value=10**6), ""),
    "size_minus": (put("model", "size", value=-1), ""),
    "size_text": (put("model", "size", value="x"), ""),
    "size_null": (put("model", "size", value=None), ""),
    "classes_10_9": (put("model", "n_classes", value=10**9), "1000000 is the limit"),
    "classes_10_6": (put("model", "n_classes", value=10**6), ""),
    "channels_10_9": (put("model", "in_channels", value=10**9), "1000000 is the limit"),
    "channels_10_6": (put("model", "in_channels", value=10**6), ""),
    "channels_huge": (put("model", "in_channels", value=10**400), "1000000 is the limit"),
    "options_null": (put("model", "options", value=None), None),
    "options_list": (put("model", "options", value=[1]), ""),
    "options_unknown": (put("model", "options", value={"x": 1}), "options of the model"),
    "name_unknown": (put("model", "name", value="../../x"), ""),
    "name_null": (put("model", "name", value=None), ""),
    "version": (put("model", "version", value=99), "was version 99"),
    "other_network": (put("model", "name", value="vit"), ""),
    "format_text": (put("format", value="x"), "description is damaged"),
    "format_10_9": (put("format", value=10**9), "update galshift"),
    "format_null": (put("format", value=None), "description is damaged"),
    "head_number": (put("meta", value={"head": 3}), "of its labels is damaged"),
    "head_unknown": (put("meta", value={"head": {"kind": "x"}}), "of its labels is damaged"),
    "head_incomplete": (put("meta", value={"head": {"kind": "votes", "names": ["a"]}}), "is damaged"),
}


@pytest.mark.parametrize("name", EDITS)
def test_edited_descriptions(name: str, saved: Path) -> None:
    change, match = EDITS[name]
    edited(saved, change)
    if match is None:
        assert len(load_checkpoint(saved).classes) == 3
    else:
        assert match in refused(saved)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("convnext", {"depths": [1000000], "widths": [1000]}),
        ("convnext", {"depths": [1], "widths": [1000000]}),
        ("convnext", {"depths": [1] * 1000, "widths": [4096] * 1000}),
        ("vit", {"width": 999996, "heads": 3, "depth": 1000000}),
        ("vit", {"depth": 1000000}),
        ("vit", {"patch": 1000000}),
        ("resnet50", {}),
    ],
)
def test_networks_larger_than_their_tensors_are_not_made(model: str, options: dict, saved: Path) -> None:
    edited(saved, put("model", value={"name": model, "version": 1, "in_channels": 2, "size": 64,
                                      "n_classes": 3, "options": options}))  # fmt: skip
    refused(saved)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 50_000,
        "null",
        "3",
        "[]",
        '"x"',
        "{}",
        '{"format": 1' + "0" * 5000 + "}",
        "\x1b",
    ],
)
def test_descriptions_that_are_none(text: str, saved: Path) -> None:
    save_file(load_file(saved), saved, metadata={"galshift": text})
    refused(saved)


@pytest.mark.parametrize("change", ["integers", "nan", "infinite", "missing", "shape", "more", "half"])
def test_edited_tensors(change: str, saved: Path) -> None:
    header, tensors = read_checkpoint(saved)[0], load_file(saved)
    name = next(key for key, value in tensors.items() if value.is_floating_point() and value.ndim > 1)
    if change == "integers":
        tensors[name] = tensors[name].to(torch.int64)
    elif change in ("nan", "infinite"):
        tensors[name].view(-1)[0] = float("nan") if change == "nan" else float("inf")
    elif change == "missing":
        del tensors[name]
    elif change == "shape":
        tensors[name] = tensors[name][:1].clone()
    elif change == "more":
        tensors["x\x1b[31m\u202e"] = torch.zeros(1)
    else:
        tensors = {
            key: value.half() if value.is_floating_point() else value for key, value in tensors.items()
        }
    save_file(tensors, saved, metadata={"galshift": json.dumps(header)})
    if change == "half":
        assert load_checkpoint(saved).model is not None
        return
    said = refused(saved)
    assert said.isprintable()
    assert "tensor '" in said


def raw(path: Path, header: bytes, body: bytes = b"", length: int | None = None) -> None:
    """Write a safetensors file by hand."""
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + body)


@pytest.mark.parametrize("length", [10**15, 2**64 - 1, 0, 99_000_000])
def test_lengths_of_headers_that_lie(length: int, saved: Path) -> None:
    raw(saved, b'{"__metadata__":{}}', length=length)
    refused(saved)


@pytest.mark.parametrize(
    "header",
    [
        '{"a":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}',
        '{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}',
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        '{"a":' * 5000,
        '{"__metadata__":{"galshift":null}}',
        '{"__metadata__":[]}',
        "[]",
    ],
)
def test_headers_that_lie(header: str, saved: Path) -> None:
    raw(saved, header.encode(), b"\0" * 4)
    refused(saved)


def no_file(path: Path, kind: str) -> Path:
    """Put at `path` what is no file with bytes in it, and return it."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "empty":
        path.touch()
    return path


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop", "empty"])
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    path = no_file(tmp_path / "model.safetensors", kind)
    refused(path)
    if kind != "folder":
        refused(tmp_path / "model.safetensors", lambda place: build_encoder(place))


def build_encoder(place: Path) -> object:
    """Build the encoder whose weights are at `place`."""
    return build_model("encoder", in_channels=3, size=32, n_classes=2, options={"path": str(place)})


@pytest.mark.parametrize(
    "facts",
    [
        {"architecture": 3},
        {"architecture": ["x"]},
        {"architecture": "../../x"},
        {"input_size": 5},
        {"input_size": [3, -5, -5]},
        {"input_size": ["a"]},
        {"mean": "abc"},
        {"mean": [None]},
        {"mean": []},
        {"std": [0, 0, 0]},
        {"std": {"a": 1}},
        {"pretrained_cfg": {"mean": 3}},
        {"architecture": "resnet18", "model_args": {"in_chans": 10**9}},
        {"architecture": "resnet18", "model_args": [1]},
    ],
)
def test_edited_facts_of_an_encoder(facts: dict, tmp_path: Path) -> None:
    place = folder(tmp_path / "e", "convnext_pico", of_names(convnext_shapes(*PICO)))
    stored = json.loads((place / "config.json").read_text())
    top = {
        key: value for key, value in facts.items() if key in ("architecture", "model_args", "pretrained_cfg")
    }
    inner = {key: value for key, value in facts.items() if key not in top}
    stored["pretrained_cfg"] |= inner
    (place / "config.json").write_text(json.dumps(stored | top))
    with pytest.raises(GalshiftError) as caught:
        build_encoder(place)
    assert caught.value.exit_code in (3, 4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "\xff", "{" * 9, '{"a": 1' + "0" * 5000 + "}"])
def test_facts_that_are_none(text: str, tmp_path: Path) -> None:
    folder(tmp_path / "e", "convnext_pico", of_names(convnext_shapes(*PICO)))
    (tmp_path / "e" / "config.json").write_text(text, encoding="latin-1")
    refused(tmp_path / "e", build_encoder)


@pytest.mark.parametrize("change", ["nan", "integers", "one_value"])
def test_edited_weights_of_an_encoder(change: str, tmp_path: Path) -> None:
    tensors = of_names(convnext_shapes(*PICO))
    first = "stem.0.weight"
    if change == "nan":
        tensors[first].view(-1)[0] = float("nan")
    elif change == "integers":
        tensors = {name: value.to(torch.int64) for name, value in tensors.items()}
    else:
        tensors[first] = torch.zeros(1)
    folder(tmp_path / "e", "convnext_pico", tensors)
    assert refused(tmp_path / "e", build_encoder).isprintable()


class Runs:
    """What a pickle could do when it is loaded."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.place}",)


@pytest.mark.parametrize("kind", ["pickle", "torch", "bomb", "view", "truncated", "text", "list"])
def test_pth_files(kind: str, tmp_path: Path) -> None:
    path, owned = tmp_path / "w.pth", tmp_path / "owned"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"a": Runs(owned)}))
    elif kind == "torch":
        torch.save({"a": Runs(owned)}, path)
    elif kind == "bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("w/data.pkl", b"\0" * (150 << 20))
    elif kind == "view":
        torch.save({"a": torch.zeros(1).expand(10**9)}, path)
    elif kind == "truncated":
        torch.save({"a": torch.zeros(100)}, path)
        path.write_bytes(path.read_bytes()[:500])
    elif kind == "text":
        path.write_text("hello")
    else:
        torch.save([1, 2], path)
    refused(path, build_encoder)
    assert not owned.exists()


def test_a_changed_checkpoint_gives_a_value_or_one_sentence(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    head = struct.unpack("<Q", sound[:8])[0] + 8

    @settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        edits=st.lists(st.tuples(st.integers(0, head - 1), st.integers(0, 255)), max_size=6),
        length=st.one_of(st.just(len(sound)), st.integers(0, len(sound))),
    )
    def check(edits: list[tuple[int, int]], length: int) -> None:
        content = bytearray(sound)
        for place, value in edits:
            content[place] = value
        path.write_bytes(content[:length])
        said, code = "", 4
        try:
            load_checkpoint(path)
        except DataError as error:
            said, code = str(error), error.exit_code
        assert code == 4
        assert "\n" not in said

    check()


RECIPES = {
    "laughs": "a0: &a0 [ha]\n"
    + "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)),
    "nested": "a: " + "[" * 200_000,
    "nested_blocks": "- " * 100_000 + "x",
    "number": "a: " + "9" * 100_000,
    "hexadecimal": "a: 0x" + "f" * 100_000,
    "code": "a: !!python/object/apply:os.system ['touch owned']",
    "tag": "a: !x 3",
    "loop": "a: &a [*a]",
    "twice": "a: 1\na: 2",
    "nul": "a: \0",
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPES[name])
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert caught.value.exit_code == 3
    assert len(str(caught.value)) < 500
    assert not Path("owned").exists()


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "missing"])
def test_recipes_that_are_no_files(kind: str, tmp_path: Path) -> None:
    path = no_file(tmp_path / "r.yaml", kind)
    with pytest.raises(ConfigError):
        load_recipe(path)
