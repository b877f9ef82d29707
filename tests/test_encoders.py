"""Pre-trained encoders: outputs against the packages they come from, layouts by the libraries' key names."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from galshift.errors import ConfigError, DataError
from galshift.models import efficientnet_lite0 as lite0
from galshift.models._encoder_input import EncoderInput, Intake, band_mixing, near_size
from galshift.models.build import build_model, parameter_count, rebuild


def images(n: int, bands: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, bands, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def lite_weights():
    pytest.importorskip(lite0.PACKAGE, reason="the extra 'encoders' is not installed")


def test_bands_go_to_channels_by_the_stated_rule() -> None:
    np.testing.assert_allclose(band_mixing(1, 3), [[1], [1], [1]])
    np.testing.assert_allclose(band_mixing(2, 3), [[1, 0], [0.5, 0.5], [0, 1]])
    np.testing.assert_allclose(band_mixing(3, 3), np.eye(3))
    third, half = 1 / 3, 1 / 2
    five = [[half, half, 0, 0, 0], [0, third, third, third, 0], [0, 0, 0, half, half]]
    np.testing.assert_allclose(band_mixing(5, 3), five)
    np.testing.assert_allclose(band_mixing(5, 3, reverse=True), np.asarray(five)[:, ::-1])
    np.testing.assert_allclose(band_mixing(3, 1), [[third, third, third]])


def test_stretched_values_reach_the_range_of_the_encoder() -> None:
    config = EncoderInput(size=None, low=-2, high=3, mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3))
    out = Intake(3, 3, config)(torch.tensor([-2.0, 0.5, 3.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4))
    # -2, 0.5 and 3 are 0, 0.5 and 1 of 0 ... 1, then less the mean over the spread
    expected = [(0 - 0.4) / 0.1, (0.5 - 0.5) / 0.2, (1 - 0.6) / 0.3]
    np.testing.assert_allclose(out[0, :, 0, 0], expected, rtol=1e-5, atol=1e-6)


def test_resizing_averages_what_becomes_smaller_and_keeps_what_fits() -> None:
    config = EncoderInput(size=8, low=0, high=1, mean=(0.0,), std=(1.0,))
    x = images(1, 1, 32)
    small = Intake(1, 1, config)(x)
    assert small.shape == (1, 1, 8, 8)
    assert small.std() < 0.5  # white noise averaged over 4 x 4 pixels and more: a point sample keeps 1
    torch.testing.assert_close(Intake(1, 1, config)(x[..., :8, :8]), x[..., :8, :8])


def test_impossible_ranges_are_refused() -> None:
    with pytest.raises(ConfigError, match="high must be above low"):
        build_model("efficientnet-lite0", in_channels=1, size=32, n_classes=2, options={"low": 1, "high": 1})


def test_lite0_has_the_published_size() -> None:
    """4.7 million parameters with 1000 classes: Google's table of the lite networks (tpu repository)."""
    model = build_model(
        "efficientnet-lite0", in_channels=3, size=224, n_classes=1000, options={"pretrained": False}
    )
    assert parameter_count(model) == 4_652_008


@pytest.mark.parametrize("size", [96, 224])
def test_lite0_agrees_with_the_reference_package(lite_weights, size) -> None:
    peer = pytest.importorskip("efficientnet_lite_pytorch", reason="the peer package is not installed")
    tensors = lite0.imagenet_tensors()
    theirs = peer.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(tensors)
    options = {"size": size, "low": 0, "high": 1, "mean": (0, 0, 0), "std": (1, 1, 1)}
    ours = build_model("efficientnet-lite0", in_channels=3, size=size, n_classes=1000, options=options)
    ours.head.load_state_dict({"weight": tensors["_fc.weight"], "bias": tensors["_fc.bias"]})
    x = images(2, 3, size)
    with torch.no_grad():
        expected, found = theirs.eval()(x), ours.eval()(x)
        deep = theirs.extract_features(x).mean((2, 3))
    torch.testing.assert_close(found.features, deep, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.logits, expected, atol=1e-4, rtol=0)


def test_lite0_is_rebuilt_without_the_package(lite_weights, monkeypatch) -> None:
    model = build_model("efficientnet-lite0", in_channels=1, size=32, n_classes=2).eval()
    monkeypatch.setattr(lite0, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        build_model("efficientnet-lite0", in_channels=1, size=32, n_classes=2)
    assert "pip install 'galshift[encoders]'" in caught.value.hint
    again = rebuild(json.loads(json.dumps(model.spec)))
    again.load_state_dict(model.state_dict())
    x = images(1, 1, 32)
    with torch.no_grad():
        assert torch.equal(again.eval()(x).logits, model(x).logits)


def test_another_file_of_weights_is_refused(lite_weights, monkeypatch) -> None:
    monkeypatch.setattr(lite0, "SHA256", "0" * 64)
    with pytest.raises(DataError, match="not the known file"):
        build_model("efficientnet-lite0", in_channels=1, size=32, n_classes=2)


# Key names and shapes below: timm 1.0, timm/models/convnext.py and timm/models/vision_transformer.py
# (github.com/huggingface/pytorch-image-models); DINOv2's own: facebookresearch/dinov2, hubconf.py.


def of_names(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, torch.Tensor]:
    """Return random tensors of these names and shapes, of a size that keeps activations of order one."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        value = torch.randn(shape, generator=generator)
        tensors[name] = value / np.prod(shape[1:]) ** 0.5 if len(shape) in (2, 4) else 0.5 + 0.3 * value
    return tensors


def convnext_shapes(depths, widths, channels=3) -> dict[str, tuple[int, ...]]:
    shapes = {"stem.0.weight": (widths[0], channels, 4, 4), "stem.0.bias": (widths[0],)}
    shapes |= {f"stem.1.{kind}": (widths[0],) for kind in ("weight", "bias")}
    for stage, (depth, width) in enumerate(zip(depths, widths)):
        if stage:
            before = widths[stage - 1]
            shapes |= {f"stages.{stage}.downsample.0.{kind}": (before,) for kind in ("weight", "bias")}
            shapes[f"stages.{stage}.downsample.1.weight"] = (width, before, 2, 2)
            shapes[f"stages.{stage}.downsample.1.bias"] = (width,)
        for block in range(depth):
            name = f"stages.{stage}.blocks.{block}"
            shapes |= {
                f"{name}.gamma": (width,),
                f"{name}.conv_dw.weight": (width, 1, 7, 7),
                f"{name}.conv_dw.bias": (width,),
                f"{name}.norm.weight": (width,),
                f"{name}.norm.bias": (width,),
                f"{name}.mlp.fc1.weight": (4 * width, width, 1, 1),
                f"{name}.mlp.fc1.bias": (4 * width,),
                f"{name}.mlp.fc2.weight": (width, 4 * width, 1, 1),
                f"{name}.mlp.fc2.bias": (width,),
            }
    return shapes | {"head.norm.weight": (widths[-1],), "head.norm.bias": (widths[-1],)}


def vit_shapes(patch: int, positions: int, registers: int = 0, scale: bool = True) -> dict:
    shapes = {
        "cls_token": (1, 1, 384),
        **({"reg_token": (1, registers, 384)} if registers else {}),
        "pos_embed": (1, positions, 384),
        "patch_embed.proj.weight": (384, 3, patch, patch),
        "patch_embed.proj.bias": (384,),
    }
    for block in range(12):
        layers = {"norm1": (384,), "attn.qkv": (1152, 384), "attn.proj": (384, 384)}
        layers |= {"norm2": (384,), "mlp.fc1": (1536, 384), "mlp.fc2": (384, 1536)}
        for layer, shape in layers.items():
            shapes[f"blocks.{block}.{layer}.weight"] = shape
            shapes[f"blocks.{block}.{layer}.bias"] = shape[:1]
        if scale:
            shapes |= {f"blocks.{block}.ls{i}.gamma": (384,) for i in (1, 2)}
    return shapes | {"norm.weight": (384,), "norm.bias": (384,)}


PICO, NANO = ((2, 2, 6, 2), (64, 128, 256, 512)), ((2, 2, 8, 2), (80, 160, 320, 640))
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def folder(path, architecture: str, tensors, **facts):
    """Write a folder as encoders are handed out."""
    from safetensors.torch import save_file

    path.mkdir(exist_ok=True)
    save_file(tensors, path / "model.safetensors")
    about = {"input_size": [3, 224, 224], **IMAGENET} | facts
    (path / "config.json").write_text(
        json.dumps({"architecture": architecture, "num_classes": 0, "pretrained_cfg": about})
    )
    return path


def encoder(path, *, bands: int = 3, **options):
    """Return the encoder at `path` for images of 64 pixels; its own size is among the options."""
    options = {"path": str(path), **options}
    return build_model("encoder", in_channels=bands, size=64, n_classes=2, options=options).eval()


def plain_convnext(tensors, x, depths):
    """Liu et al. 2022, Figure 4, written out with torch's functions on timm's tensors."""
    F = torch.nn.functional

    def norm(x, name):
        x = F.layer_norm(
            x.movedim(1, -1), x.shape[1:2], tensors[f"{name}.weight"], tensors[f"{name}.bias"], 1e-6
        )
        return x.movedim(-1, 1)

    def conv(x, name, **how):
        return F.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], **how)

    x = norm(conv(x, "stem.0", stride=4), "stem.1")
    for stage, depth in enumerate(depths):
        if stage:
            down = f"stages.{stage}.downsample"
            x = conv(norm(x, f"{down}.0"), f"{down}.1", stride=2)
        for block in range(depth):
            name = f"stages.{stage}.blocks.{block}"
            y = norm(conv(x, f"{name}.conv_dw", padding=3, groups=x.shape[1]), f"{name}.norm")
            y = conv(F.gelu(conv(y, f"{name}.mlp.fc1")), f"{name}.mlp.fc2")
            x = x + tensors[f"{name}.gamma"].view(1, -1, 1, 1) * y
    return norm(x.mean((2, 3), keepdim=True), "head.norm").flatten(1)


def plain_vit(tensors, x, positions):
    """Dosovitskiy et al. 2021, equations 1 to 4, on timm's tensors; `positions` (1, T, 384) are added."""
    F = torch.nn.functional
    t = tensors
    tokens = F.conv2d(x, t["patch_embed.proj.weight"], t["patch_embed.proj.bias"], stride=x.shape[-1] // 4)
    tokens = tokens.flatten(2).transpose(1, 2)
    first = t["cls_token"].expand(len(x), -1, -1)
    tokens = (
        torch.cat([first, tokens], 1) + positions
        if positions.shape[1] == 17
        else torch.cat([first, tokens + positions], 1)
    )
    if "reg_token" in t:
        tokens = torch.cat([tokens[:, :1], t["reg_token"].expand(len(x), -1, -1), tokens[:, 1:]], 1)
    for block in range(12):
        name = f"blocks.{block}"
        y = F.layer_norm(tokens, (384,), t[f"{name}.norm1.weight"], t[f"{name}.norm1.bias"], 1e-6)
        attention = torch.nn.MultiheadAttention(384, 6, batch_first=True)
        attention.in_proj_weight.data, attention.in_proj_bias.data = (
            t[f"{name}.attn.qkv.weight"],
            t[f"{name}.attn.qkv.bias"],
        )
        attention.out_proj.weight.data = t[f"{name}.attn.proj.weight"]
        attention.out_proj.bias.data = t[f"{name}.attn.proj.bias"]
        y = attention(y, y, y, need_weights=False)[0]
        tokens = tokens + y * t.get(f"{name}.ls1.gamma", 1.0)
        y = F.layer_norm(tokens, (384,), t[f"{name}.norm2.weight"], t[f"{name}.norm2.bias"], 1e-6)
        y = F.gelu(F.linear(y, t[f"{name}.mlp.fc1.weight"], t[f"{name}.mlp.fc1.bias"]))
        y = F.linear(y, t[f"{name}.mlp.fc2.weight"], t[f"{name}.mlp.fc2.bias"])
        tokens = tokens + y * t.get(f"{name}.ls2.gamma", 1.0)
    return F.layer_norm(tokens, (384,), t["norm.weight"], t["norm.bias"], 1e-6)[:, 0]


AS_GIVEN = {"low": 0, "high": 1, "mean": [0], "std": [1]}


@pytest.mark.parametrize(
    ("name", "plan", "channels"), [("convnext_pico", PICO, 3), ("convnext_nano.tag", NANO, 1)]
)
def test_convnext_folders_load_and_compute_what_was_published(tmp_path, name, plan, channels) -> None:
    tensors = of_names(convnext_shapes(*plan, channels))
    path = folder(tmp_path / "enc", name, tensors)
    model = encoder(path, bands=channels, **AS_GIVEN | {"size": 64})
    x = images(2, channels, 64)
    with torch.no_grad():
        expected = plain_convnext(tensors, x, plan[0])
        torch.testing.assert_close(model(x).features, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "patch", "positions", "registers", "scale"),
    [
        ("vit_small_patch14_dinov2.lvd142m", 14, 17, 0, True),
        ("vit_small_patch14_reg4_dinov2", 14, 16, 4, True),
        ("vit_small_patch16_224", 16, 17, 0, False),
    ],
)
def test_vit_folders_load_and_compute_what_was_published(
    tmp_path, name, patch, positions, registers, scale
) -> None:
    tensors = of_names(vit_shapes(patch, positions, registers, scale))
    path = folder(tmp_path / "enc", name, tensors)
    size = 4 * patch
    model = encoder(path, **AS_GIVEN | {"size": size})
    x = images(2, 3, size)
    with torch.no_grad():
        expected = plain_vit(tensors, x, tensors["pos_embed"])
        torch.testing.assert_close(model(x).features, expected, atol=2e-4, rtol=1e-3)


def test_dinov2_own_file_gives_what_timm_layout_gives(tmp_path) -> None:
    """Its file has a mask token, other register names, and a place for the class token."""
    tensors = of_names(vit_shapes(14, 17, 4))
    theirs = {name.replace("reg_token", "register_tokens"): value for name, value in tensors.items()}
    torch.save({**theirs, "mask_token": torch.zeros(1, 384)}, tmp_path / "dinov2_vits14_reg4.pth")
    options = AS_GIVEN | {"size": 56}
    one = encoder(tmp_path / "dinov2_vits14_reg4.pth", **options)
    # timm's file of the same weights: the class token's place is added to it
    tensors["cls_token"] = tensors["cls_token"] + tensors["pos_embed"][:, :1]
    tensors["pos_embed"] = tensors["pos_embed"][:, 1:].contiguous()
    two = encoder(folder(tmp_path / "enc", "vit_small_patch14_reg4_dinov2", tensors), **options)
    x = images(2, 3, 56)
    with torch.no_grad():
        torch.testing.assert_close(one(x).features, two(x).features)


def test_positions_follow_the_size_of_the_images(tmp_path) -> None:
    from galshift.models._vit_encoder import on_grid

    ramp = torch.arange(6.0).repeat(6)[None, :, None]  # columns of a 6 x 6 grid
    moved = on_grid(ramp, 12).reshape(12, 12)
    torch.testing.assert_close(moved[:, 4:8], torch.tensor([1.75, 2.25, 2.75, 3.25]).expand(12, 4))
    path = folder(tmp_path / "enc", "vit_small_patch16_224", of_names(vit_shapes(16, 197, 0, False)))
    whole, small = encoder(path), encoder(path, size=96)
    assert whole.encoder.positions.shape == (1, 14**2, 384)
    assert small.encoder.positions.shape == (1, 36, 384)
    same_at_another_size(whole.resized(0.43), small)  # 96.3 of 224 pixels
    assert whole.encoder.positions.shape == (1, 14**2, 384)
    with pytest.raises(ConfigError, match="whole number of patches") as caught:
        encoder(path, size=100)
    assert "model.size=96 or 112" in caught.value.hint


def same_at_another_size(copied, made) -> None:
    """The copy of an encoder at another size is the encoder that is made at that size."""
    x = images(1, made.spec["in_channels"], made.spec["size"])
    assert copied.spec == made.spec
    with torch.no_grad():
        torch.testing.assert_close(copied(x).features, made(x).features)


@pytest.mark.parametrize(
    ("size", "share", "step", "expected"),
    [
        (224, 0.75, 14, 168),
        (224, 0.75, 16, 160),  # 168 is halfway to 176
        (224, 0.75, 32, 160),
        (96, 0.75, 32, 64),
        (96, 1.25, 32, 128),
        (64, 0.99, 32, 32),  # never its own
        (32, 0.75, 32, None),
    ],
)
def test_another_size_is_a_whole_number_of_steps(size, share, step, expected) -> None:
    assert near_size(size, share, step) == expected


def test_convolutions_take_another_size_and_networks_of_one_size_say_so(tmp_path) -> None:
    of = {"in_channels": 1, "size": 16, "n_classes": 2}
    options = [{"pretrained": False, "size": side} for side in (96, 64)]
    one, other = (build_model("efficientnet-lite0", **of, options=own).eval() for own in options)
    same_at_another_size(one.resized(0.75), other)
    assert other.resized(0.4).spec["options"]["size"] == 32
    path = folder(tmp_path / "enc", "convnext_pico", of_names(convnext_shapes(*PICO)))
    same_at_another_size(encoder(path, size=64).resized(0.5), encoder(path, size=32))
    assert build_model("deepmerge", **of).resized(0.75) is None


def test_what_the_folder_says_of_its_images_is_replayed(tmp_path) -> None:
    tensors = of_names(convnext_shapes(*PICO))
    own = {"input_size": [3, 96, 96], "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    path = folder(tmp_path / "enc", "convnext_pico", tensors, **own)
    model = encoder(path, bands=1)
    assert (model.intake.size, model.spec["options"]["mean"]) == (96, [0.1, 0.2, 0.3])
    x = images(2, 1, 48)
    with torch.no_grad():
        expected = model(x).logits
        # Black (-1) and white (6) of the stretch are 0 and 1 of the encoder.
        flat = model.intake(torch.full((1, 1, 8, 8), 6.0))[0, :, 0, 0]
    torch.testing.assert_close(flat, torch.tensor([0.9 / 0.5, 0.8 / 0.6, 0.7 / 0.7]))
    for file in path.iterdir():
        file.unlink()
    again = rebuild(json.loads(json.dumps(model.spec)))
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(x).logits, expected)
    large = folder(tmp_path / "enc", "convnext_pico", tensors, input_size=[3, 384, 384])
    assert encoder(large).intake.size == 224


def test_single_files_are_recognised_by_their_tensors(tmp_path) -> None:
    from safetensors.torch import save_file

    tensors = of_names(convnext_shapes(*NANO))
    wrapped = {f"encoder.{name}": value for name, value in tensors.items()} | {
        "head.fc.weight": torch.ones(9, 640)
    }
    torch.save({"state_dict": wrapped, "epoch": 3}, tmp_path / "nano.pth")
    save_file(tensors, tmp_path / "nano.safetensors")
    x, options = images(1, 3, 32), {"size": 32}
    one, two = (encoder(tmp_path / f"nano.{kind}", **options) for kind in ("pth", "safetensors"))
    with torch.no_grad():
        assert torch.equal(one(x).features, two(x).features)
    assert one.spec["options"]["network"]["depths"] == [2, 2, 8, 2]
    save_file({"some.weight": torch.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match="which architecture") as caught:
        encoder(tmp_path / "other.safetensors")
    assert "model.architecture" in caught.value.hint


def test_weights_that_do_not_fit_are_one_sentence(tmp_path) -> None:
    tensors = of_names(convnext_shapes(*PICO))
    wrong = folder(tmp_path / "wrong", "convnext_nano", tensors)
    with pytest.raises(DataError, match=r"do not fit their architecture.*\(64, 3, 4, 4\)"):
        encoder(wrong)
    with pytest.raises(DataError, match="not of the architecture vit_small_patch16_224"):
        encoder(folder(tmp_path / "vit", "vit_small_patch16_224", tensors))
    del tensors["stages.2.blocks.3.gamma"]
    with pytest.raises(DataError, match=r"1 of \d+ tensors, first '\d+.scale', which is missing"):
        encoder(folder(tmp_path / "less", "convnext_pico", tensors))
    with pytest.raises(DataError, match="another content"):
        encoder(wrong, sha256="0" * 64)
    with pytest.raises(DataError, match="no such file or folder"):
        encoder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no model\.safetensors"):
        encoder(tmp_path / "empty")
    with pytest.raises(ConfigError, match="needs its weights"):
        build_model("encoder", in_channels=3, size=32, n_classes=2)
    (wrong / "config.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        encoder(wrong)


class Trap:
    """Runs a command when unpickled."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["trap.pth", "pytorch_model.bin"])
def test_pickles_are_not_opened(tmp_path, name) -> None:
    import pickle

    torch.save({"weight": torch.ones(2), "trap": Trap(tmp_path / "sprung")}, tmp_path / name)
    with pytest.raises(DataError, match="not opened"):
        encoder(tmp_path / name)
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(DataError, match="not opened"):
        encoder(tmp_path / "plain.pth")
    assert not (tmp_path / "sprung").exists()


def test_another_run_is_an_encoder(tmp_path) -> None:
    """Its features come out again, on its own bands, and its head is left behind."""
    from galshift.training.checkpoint import save_checkpoint

    model = build_model("deepmerge", in_channels=2, size=32, n_classes=3, seed=5).eval()
    save_checkpoint(tmp_path, model, preprocessing={}, classes=["a", "b", "c"], bands=["g", "r"])
    mine = encoder(tmp_path, bands=2)
    x = images(2, 2, 32)
    with torch.no_grad():
        torch.testing.assert_close(mine(x).features, model(x).features, atol=1e-6, rtol=1e-6)
    assert mine.head.weight.shape == (2, model.feature_dim)
    again = rebuild(json.loads(json.dumps(mine.spec)))
    again.load_state_dict(mine.state_dict())


def test_a_path_stands_for_the_encoder_in_it(tmp_path) -> None:
    from galshift.recipes.prepare import prepare
    from galshift.verbs.train import TrainStepConfig

    path = folder(tmp_path / "enc", "convnext_pico", of_names(convnext_shapes(*PICO)))
    for given in (str(path), {"kind": str(path), "size": 64}):
        chosen = TrainStepConfig(data="x", model=given).model
        assert (chosen.kind, chosen.config.path) == ("encoder", str(path))
    data = tmp_path / "data.txt"
    data.write_text("x")
    named = prepare("train", {"data": str(data), "model": str(path)})
    (tmp_path / "enc").rename(tmp_path / "elsewhere")
    moved = prepare("train", {"data": str(data), "model": str(tmp_path / "elsewhere")})
    assert moved.fingerprint == named.fingerprint
    folder(tmp_path / "elsewhere", "convnext_pico", of_names(convnext_shapes(*PICO), seed=1))
    other = prepare("train", {"data": str(data), "model": str(tmp_path / "elsewhere")})
    assert other.fingerprint != named.fingerprint
