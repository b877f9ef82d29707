"""Which networks pre-trained weights are of, and how each is built and filled.

ConvNeXts and small image transformers are galshift's own networks, filled from tensors by timm's key names;
every other architecture is timm's (extra 'models'); a galshift run is rebuilt from its own description.
Each family knows three things: how to recognise itself, how to build its body, and what its tensors are
called.  What a checkpoint needs to build the body again is a plain mapping, the *network*.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from galshift.errors import ConfigError, DataError
from galshift.models._vit_encoder import EncoderViT, vit_tensors
from galshift.models._weights import Weights, without_prefix
from galshift.models.convnext import ConvNeXt, ConvNeXtConfig

# timm's names, depths and widths: convnext.py of timm 1.0 (Wightman 2019); stages of Liu et al. 2022.
CONVNEXTS = {
    "convnext_atto": ((2, 2, 6, 2), (40, 80, 160, 320)),
    "convnext_femto": ((2, 2, 6, 2), (48, 96, 192, 384)),
    "convnext_pico": ((2, 2, 6, 2), (64, 128, 256, 512)),
    "convnext_nano": ((2, 2, 8, 2), (80, 160, 320, 640)),
    "convnext_tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
}
# Those of timm's small transformers that differ in patch, registers and layer scale alone.
SMALL_VIT = re.compile(r"vit_small_patch\d+(_reg\d+)?_(224|384|dinov2)")
SMALL_WIDTH, SMALL_DEPTH, SMALL_HEADS = 384, 12, 6
_CONVNEXT_FIRST, _VIT_FIRST = "stem.0.weight", "patch_embed.proj.weight"


def describe(weights: Weights, architecture: str | None) -> dict[str, Any]:
    """Return the network that `weights` are of.

    Raises
    ------
    ConfigError
        When neither the weights nor `architecture` say which it is.
    DataError
        When the weights are of another network than is said.
    """
    if weights.spec is not None:
        return {"family": "galshift", "spec": weights.spec}
    said = architecture or weights.facts.get("architecture")
    # A name may carry a tag of its weights: vit_small_patch14_dinov2.lvd142m
    name = None if said is None else str(said).split(".")[0]
    if name is None:
        name = _recognised(weights)
    if name in CONVNEXTS:
        return _convnext(weights, name)
    if SMALL_VIT.fullmatch(name):
        return _vit(weights, name)
    arguments = weights.facts.get("model_args") or {}
    channels = arguments.get("in_chans") or picture_facts(weights.facts).get("input_size", (3,))[0]
    return {"family": "timm", "name": name, "channels": int(channels)}


def body(network: Mapping[str, Any], size: int) -> nn.Module:
    """Return the network's body with fresh weights: (B, E, size, size) images to (B, D) features.

    Raises
    ------
    ConfigError
        When the family is not known.
    """
    if network["family"] == "convnext":
        config = ConvNeXtConfig(
            depths=network["depths"], widths=network["widths"], drop_path=0, layer_scale=1e-6
        )
        return ConvNeXt(network["channels"], 224, 1, config).encoder  # the published stem, at any size
    if network["family"] == "vit":
        return _vit_body(network, size)
    if network["family"] == "galshift":
        return RunBody(network["spec"])
    if network["family"] == "timm":
        from galshift.models.timm_encoder import create

        return create(network["name"], network["channels"], size)
    raise ConfigError(f"the family of networks '{network['family']}' is not known", where="encoder")


def named(network: Mapping[str, Any], tensors: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
    """Return `tensors` by the names of the network's body."""
    if network["family"] == "convnext":
        return _convnext_tensors(without_prefix(tensors, _CONVNEXT_FIRST), network["depths"])
    if network["family"] == "vit":
        return vit_tensors(without_prefix(tensors, _VIT_FIRST), size // network["patch"])
    if network["family"] == "galshift":
        return {f"network.{name}": value for name, value in tensors.items()}
    return dict(tensors)


def picture_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a ``config.json`` says of the images that the encoder was trained on."""
    inner = facts.get("pretrained_cfg")
    return dict(inner if isinstance(inner, Mapping) else facts)


class RunBody(nn.Module):
    """The network of a galshift run without its head."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__()
        from galshift.models.build import rebuild

        self.network = rebuild(spec)
        self.network.head = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return its features, (B, D)."""
        return self.network(images).features


def _recognised(weights: Weights) -> str:
    """The name of the architecture that tensors without a description are of."""
    tensors = without_prefix(weights.tensors, _CONVNEXT_FIRST)
    if _CONVNEXT_FIRST in tensors:
        width = tensors[_CONVNEXT_FIRST].shape[0]
        for name, (depths, widths) in CONVNEXTS.items():
            if widths[0] == width and _counts(tensors, "stages.2.blocks.{}.gamma", depths[2]):
                return name
    tensors = without_prefix(weights.tensors, _VIT_FIRST)
    if _VIT_FIRST in tensors and _counts(tensors, "blocks.{}.norm1.weight", SMALL_DEPTH):
        width, *_, patch = tensors[_VIT_FIRST].shape
        if width == SMALL_WIDTH:
            return f"vit_small_patch{patch}_224"
    raise ConfigError(
        "nothing says which architecture these weights are of",
        where=weights.path,
        hint="name it: --set model.architecture=convnext_nano, or give the folder with its config.json",
    )


def _counts(tensors: Mapping[str, Tensor], name: str, depth: int) -> bool:
    """Whether there are exactly `depth` blocks with a tensor called `name`."""
    return name.format(depth - 1) in tensors and name.format(depth) not in tensors


def _convnext(weights: Weights, name: str) -> dict[str, Any]:
    stem = without_prefix(weights.tensors, _CONVNEXT_FIRST).get(_CONVNEXT_FIRST)
    if stem is None:
        raise _misfit(weights, name, _CONVNEXT_FIRST)
    depths, widths = CONVNEXTS[name]
    return {
        "family": "convnext",
        "channels": stem.shape[1],
        "depths": list(depths),
        "widths": list(widths),
    }


def _vit(weights: Weights, name: str) -> dict[str, Any]:
    tensors = without_prefix(weights.tensors, _VIT_FIRST)
    for first in (_VIT_FIRST, "patch_embed.proj.bias", "cls_token", "pos_embed"):
        if first not in tensors:
            raise _misfit(weights, name, first)
    patches, positions = tensors[_VIT_FIRST], tensors["pos_embed"].shape[1]
    if int(positions**0.5) ** 2 not in (positions, positions - 1):
        raise DataError(f"{positions} positions are no square grid of patches", where=weights.path)
    registers = [tensors[key] for key in ("reg_token", "register_tokens") if key in tensors]
    return {
        "family": "vit",
        "channels": patches.shape[1],
        "patch": patches.shape[-1],
        "registers": sum(value.shape[1] for value in registers),
        "layer_scale": "blocks.0.ls1.gamma" in tensors,
    }


def _vit_body(network: Mapping[str, Any], size: int) -> EncoderViT:
    patch = network["patch"]
    if size % patch:
        near = max(patch, size // patch * patch)
        raise ConfigError(
            f"images of {size} pixels are no whole number of patches of {patch}",
            where="encoder",
            hint=f"--set model.size={near} or {near + patch}",
        )
    return EncoderViT(
        network["channels"],
        size,
        patch=patch,
        width=SMALL_WIDTH,
        depth=SMALL_DEPTH,
        heads=SMALL_HEADS,
        registers=network["registers"],
        layer_scale=network["layer_scale"],
    )


def _convnext_tensors(theirs: Mapping[str, Tensor], depths: list[int]) -> dict[str, Tensor]:
    """Tensors by timm's names as those of the body of our ConvNeXt, whose layers stand in one row."""
    layers, place = {"stem.0": "0", "stem.1": "1"}, 2
    for stage, depth in enumerate(depths):
        if stage > 0:
            layers |= {f"stages.{stage}.downsample.{i}": str(place + i) for i in (0, 1)}
            place += 2
        for block in range(depth):
            theirs_block, ours_block = f"stages.{stage}.blocks.{block}", str(place)
            layers |= {
                f"{theirs_block}.conv_dw": f"{ours_block}.depthwise",
                f"{theirs_block}.norm": f"{ours_block}.pointwise.0",
                f"{theirs_block}.mlp.fc1": f"{ours_block}.pointwise.1",
                f"{theirs_block}.mlp.fc2": f"{ours_block}.pointwise.3",
                f"{theirs_block}.gamma": f"{ours_block}.scale",
            }
            place += 1
    layers["head.norm"] = str(place + 2)  # after pooling and flattening
    ours = {}
    for name, value in theirs.items():
        layer, _, kind = name.rpartition(".")
        if name in layers:  # gamma is no layer but a tensor
            ours[layers[name]] = value
        elif layer in layers:
            # Pointwise layers are 1 x 1 convolutions in the small networks, and linear ones in the others.
            flat = value.flatten(1) if ".mlp." in layer and value.ndim == 4 else value
            ours[f"{layers[layer]}.{kind}"] = flat
    return ours


def _misfit(weights: Weights, name: str, tensor: str) -> DataError:
    return DataError(
        f"these weights are not of the architecture {name}: they have no tensor '{tensor}'",
        where=weights.path,
    )
