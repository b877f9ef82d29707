"""Where a classifier looks: Grad-CAM, and numbers that say whether to believe the pictures.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391, eqs. 1-2): the channels of the last spatial layer, weighted
by the mean gradient of the class score, summed and clipped at zero.  A map has the resolution of that layer
(a few pixels across); anything finer in a picture is interpolation.

Scores: the share of a map's weight on the galaxy, on neighbours, on sky and at the edge of the stamp, against
the share of area; and the parameter-randomisation check (Adebayo et al. 2018, arXiv:1810.03292): a map that
does not change when the network's weights are replaced by noise does not show what the network learnt.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from galshift.errors import DataError
from galshift.streams import torch_stream

_EDGE = 0.1
# A map coarser than this says little of where in a galaxy a network looks (224-pixel networks end at 7).
_LEAST_PIXELS = 7


def spatial_layer(model: nn.Module, images: Tensor) -> str:
    """Return the name of the module that Grad-CAM reads.

    The last one whose output has at least 7 x 7 pixels; where none has, the last of the finest.

    Raises
    ------
    DataError
        When no module of the network gives an image.
    """
    found: list[tuple[int, str]] = []

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if _is_map(output, images):
                found.append((min(*output.shape[2:], _LEAST_PIXELS), name))

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        with torch.inference_mode():
            model(images[:1])
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise DataError("this network has no convolutional layer to draw a Grad-CAM map from")
    finest = max(pixels for pixels, _ in found)
    return [name for pixels, name in found if pixels == finest][-1]


def grad_cam(
    model: nn.Module, images: Tensor, classes: Tensor | None = None, *, layer: str | None = None
) -> Tensor:
    """Return (B, h, w) Grad-CAM maps, each of sum one; all zero where nothing speaks for the class.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, returning Output.
    images : Tensor
        (B, C, H, W) preprocessed.
    classes : Tensor, optional
        (B,) class to explain; default: the predicted one.
    layer : str, optional
        Module to read; default: :func:`spatial_layer`.

    Raises
    ------
    DataError
        When the network has no such layer, or the layer gives no image.
    """
    held: dict[str, Any] = {}

    def hook(module: nn.Module, inputs: object, output: Any) -> Any:
        held["activation"] = output
        # An in-place layer that follows must not change what is read here.
        return output.clone() if isinstance(output, Tensor) else output

    name = spatial_layer(model, images) if layer is None else layer
    handle = _module(model, name).register_forward_hook(hook)
    try:
        with torch.enable_grad():
            logits = model(images.detach().requires_grad_(True)).logits
            chosen = logits.argmax(dim=1) if classes is None else classes
            score = logits.gather(1, chosen[:, None]).sum()
            activation = held["activation"]
            if not _is_map(activation, images):
                raise DataError(f"layer '{name}' gives no image to draw a map from", hint=_layer_hint(model))
            (gradient,) = torch.autograd.grad(score, activation)
    finally:
        handle.remove()
    weights = gradient.mean(dim=(2, 3), keepdim=True)  # (B, K, 1, 1)
    maps = torch.relu((weights * held["activation"]).sum(dim=1)).detach()
    total = maps.sum(dim=(1, 2), keepdim=True)
    return torch.where(total > 0, maps / total.clamp_min(1e-30), torch.zeros_like(maps))


def enlarged(maps: Tensor | np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return (B, h, w) maps as (B, *size), bilinear, each with its sum kept."""
    maps = torch.as_tensor(maps)
    large = nn.functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    total = large.sum(dim=(1, 2), keepdim=True)
    wanted = maps.sum(dim=(1, 2))[:, None, None]
    return torch.where(total > 0, large * wanted / total.clamp_min(1e-30), large).numpy()


def segment(image: np.ndarray, *, n_sigma: float = 1.5, n_pixels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels of one linear image belong to the central galaxy, and which to other sources.

    Bands are added in units of their own noise and smoothed a little; sources are connected pixels above
    `n_sigma`; the galaxy is the source at the centre, else the nearest to it.  Sources that touch are one:
    splitting them would cut mergers and spiral arms apart.

    Parameters
    ----------
    image : ndarray
        (C, H, W) linear.

    Returns
    -------
    tuple of ndarray
        Two (H, W) bool masks; both empty when nothing is detected.
    """
    from photutils.segmentation import detect_sources
    from scipy.ndimage import gaussian_filter

    flat = np.nan_to_num(np.asarray(image, dtype=np.float64))
    noise = np.array([_spread(band) for band in flat])
    total = np.sum((flat - np.median(flat, axis=(1, 2), keepdims=True)) / noise[:, None, None], axis=0)
    smooth = gaussian_filter(total, 1.0)
    smooth -= np.median(smooth)
    threshold = n_sigma * _spread(smooth)
    nothing = np.zeros(smooth.shape, dtype=bool)
    if smooth.max() <= threshold:
        return nothing, nothing
    found = detect_sources(smooth, threshold, n_pixels)
    if found is None:
        return nothing, nothing
    y, x = np.nonzero(found.data)
    centre = (np.array(smooth.shape) - 1) / 2
    nearest = np.argmin((y - centre[0]) ** 2 + (x - centre[1]) ** 2)
    label = found.data[y[nearest], x[nearest]]
    return found.data == label, (found.data > 0) & (found.data != label)


def map_scores(maps: np.ndarray, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return where the weight of each map lies.

    Parameters
    ----------
    maps : ndarray
        (N, h, w) from :func:`grad_cam`.
    images : ndarray
        (N, C, H, W) linear images.

    Returns
    -------
    dict
        (N,) arrays: ``on_galaxy``, ``on_neighbors``, ``on_sky``, ``on_edge`` (the outer tenth of the stamp on
        each side) as shares of the weight; ``galaxy_area``, the share of pixels; ``enrichment``, on_galaxy
        over galaxy_area.  NaN for a map without weight, and without a detected galaxy except ``on_edge``.
    """
    large = enlarged(np.asarray(maps, dtype=np.float32), images.shape[2:])
    edge = _edge_mask(images.shape[2:])
    rows = []
    for weight, image in zip(large, images, strict=True):
        galaxy, others = segment(image)
        total = weight.sum()
        if total <= 0:
            rows.append([np.nan] * 5 + [galaxy.mean()])
            continue
        known = galaxy.any()
        shares = [weight[mask].sum() / total for mask in (galaxy, others, ~(galaxy | others))]
        shares = shares if known else [np.nan] * 3
        area = galaxy.mean()
        rows.append([*shares, weight[edge].sum() / total, shares[0] / area if known else np.nan, area])
    columns = np.asarray(rows, dtype=np.float64).reshape(-1, 6).T
    names = ("on_galaxy", "on_neighbors", "on_sky", "on_edge", "enrichment", "galaxy_area")
    return dict(zip(names, columns, strict=True))


def randomisation_check(
    model: nn.Module, images: Tensor, *, layer: str | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """Replace the weights by noise, layer by layer from the top, and compare the maps with the true ones.

    Each weight tensor is replaced by normal numbers of its own mean and standard deviation.  The class that
    is explained stays the one first predicted.

    Parameters
    ----------
    model : nn.Module
        Left as it is; a copy is changed.
    images : Tensor
        (B, C, H, W) preprocessed.

    Returns
    -------
    list of dict
        From the first to the last replaced layer: ``layer``, and ``correlation``, the mean over images of
        Spearman's rank correlation with the true map (NaN where every map is empty or flat).
    """
    name = spatial_layer(model, images) if layer is None else layer
    with torch.inference_mode():
        classes = model(images).logits.argmax(dim=1)
    classes = classes.clone()
    true = grad_cam(model, images, classes, layer=name).numpy()
    changed = copy.deepcopy(model)
    rows = []
    for part, module in reversed(list(changed.named_modules())):
        own = list(module.named_parameters(recurse=False))
        if not own or all(value.ndim < 2 for _, value in own):
            continue  # norms and bare biases follow the weights they belong to
        with torch.no_grad():
            for parameter, value in own:
                generator = torch_stream(seed, "explain", part, parameter)
                noise = torch.randn(value.shape, generator=generator).to(value)
                value.copy_(value.mean() + noise * (value.std() if value.numel() > 1 else 0))
        now = grad_cam(changed, images, classes, layer=name).numpy()
        rows.append({"layer": part, "correlation": _mean_rank_correlation(true, now)})
    return rows


def _is_map(output: object, images: Tensor) -> bool:
    """Whether a layer's output is a picture of more than one pixel, in the proportions of the images."""
    if not isinstance(output, Tensor) or output.ndim != 4:
        return False
    (h, w), (height, width) = output.shape[2:], images.shape[2:]
    return min(h, w) > 1 and h * width == w * height


def _module(model: nn.Module, name: str) -> nn.Module:
    """The module called `name`."""
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise DataError(f"the network has no layer '{name}'", hint=_layer_hint(model)) from None


def _layer_hint(model: nn.Module) -> str:
    return f"its layers: {', '.join(name for name, _ in model.named_modules() if name)}"


def _mean_rank_correlation(one: np.ndarray, two: np.ndarray) -> float:
    from scipy.stats import rankdata

    a = rankdata(one.reshape(len(one), -1), axis=1)
    b = rankdata(two.reshape(len(two), -1), axis=1)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    norm = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    kept = norm > 0
    return float(np.mean((a * b).sum(axis=1)[kept] / norm[kept])) if kept.any() else float("nan")


def _spread(values: np.ndarray) -> float:
    """A robust standard deviation, never zero."""
    spread = 1.4826 * np.median(np.abs(values - np.median(values)))
    return float(spread) if spread > 0 else float(np.std(values)) or 1.0


def _edge_mask(shape: tuple[int, int]) -> np.ndarray:
    mask = np.ones(shape, dtype=bool)
    margins = [max(1, round(_EDGE * side)) for side in shape]
    mask[margins[0] : -margins[0], margins[1] : -margins[1]] = False
    return mask
