"""Turn, mirror, move and magnify a batch of images, each its own way, in one resampling.

Rows and columns of a shift, a zoom and a turn by right angles do not mix: an output row is a weighted sum of
four input rows, and an output column of four columns.  Two weighted sums of whole rows with a transposition
between them cost a tenth of sixteen neighbours looked up pixel by pixel, and need no answer from the device.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_CUBIC = -0.75  # of the convolution kernel (Keys 1981, eq. 4), as in torch's bicubic interpolation


def dihedral(images: Tensor, element: Tensor) -> Tensor:
    """Return (B, C, S, S) images turned by `element` % 4 quarter turns, mirrored first where it is >= 4."""
    swap, flip_rows, flip_columns = (each.view(-1, 1, 1, 1) for each in _as_flips(element))
    x = torch.where(swap, images.mT, images)
    x = torch.where(flip_rows, x.flip(-2), x)
    return torch.where(flip_columns, x.flip(-1), x)


def shift_and_zoom(images: Tensor, shift_px: Tensor, zoom: Tensor, element: Tensor | None = None) -> Tensor:
    """Return images moved by (B, 2) pixels (y, x) and magnified by (B,); bicubic, edges repeated.

    Parameters
    ----------
    images : Tensor
        (B, C, H, W); square for an `element`.
    shift_px, zoom : Tensor
        (B, 2) pixels of the output; (B,) with values above 0.
    element : Tensor, optional
        (B,) int64 of 0 to 7: turn and mirror as :func:`dihedral` does, before the rest.
    """
    height, width = images.shape[-2:]
    # The sums are over rows: columns first, as the rows of the transposed images.
    if element is None:
        lying, place, flips = images.mT, None, (None, None)
    else:
        swap, *flips = _as_flips(element)
        lying, place = _transposed_unless(swap, images)
    columns = _sum_of_rows(lying, *_neighbours(width, shift_px[:, 1], zoom, flips[1]), place)
    return _sum_of_rows(columns.mT, *_neighbours(height, shift_px[:, 0], zoom, flips[0]))


def _transposed_unless(swap: Tensor, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return images, transposed but where `swap` (B,), and where each of them is now; None: where it was."""
    if images.device.type != "cpu":  # to ask a GPU which ones would make it wait
        return torch.where(swap.view(-1, 1, 1, 1), images, images.mT), None
    order = torch.cat([swap.nonzero(), (~swap).nonzero()]).flatten()
    n = int(swap.sum())
    lying = torch.empty_like(images, memory_format=torch.contiguous_format)
    torch.index_select(images, 0, order[:n], out=lying[:n])
    lying[n:] = images[order[n:]].mT
    return lying, order.argsort()


def _as_flips(element: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether each of the eight changes is to transpose, and then to reverse rows, and columns."""
    quarter, mirrored = element % 4, element >= 4
    half = quarter >= 2
    middle = (quarter == 1) | (quarter == 2)
    return quarter % 2 == 1, torch.where(mirrored, half, middle), torch.where(mirrored, ~middle, half)


def _neighbours(n: int, shift: Tensor, zoom: Tensor, flip: Tensor | None) -> tuple[Tensor, Tensor]:
    """Which four of `n` rows make up each new row, and their weights, (B, n, 4) each."""
    # From -1 to 1 over the image and back, each sum rounded once, as torch's affine_grid and grid_sample do:
    # the steep slopes of bright cores show the last digit of a place.
    across = torch.linspace(-1, 1, n, dtype=shift.dtype, device=shift.device) * (n - 1) / n
    seen = across * (1 / zoom)[:, None] + (-2 * shift / n / zoom)[:, None]
    place = ((seen + 1).double() * (n / 2) - 0.5).to(shift.dtype)
    first = place.floor()
    step = torch.arange(-1, 3, device=shift.device)
    index = (first.long()[..., None] + step).clamp(0, n - 1)
    if flip is not None:
        index = torch.where(flip.view(-1, 1, 1), n - 1 - index, index)
    return index, _cubic_weights(place - first)


def _cubic_weights(beyond: Tensor) -> Tensor:
    """Weights (..., 4) of the rows at -1, 0, 1 and 2 for a place `beyond` row 0, in [0, 1)."""
    near = torch.stack([beyond, 1 - beyond], dim=-1)
    far = near + 1
    inner = ((_CUBIC + 2) * near - (_CUBIC + 3)) * near * near + 1
    outer = ((_CUBIC * far - 5 * _CUBIC) * far + 8 * _CUBIC) * far - 4 * _CUBIC
    return torch.stack([outer[..., 0], inner[..., 0], inner[..., 1], outer[..., 1]], dim=-1)


def _sum_of_rows(images: Tensor, index: Tensor, weights: Tensor, place: Tensor | None = None) -> Tensor:
    """Return (B, C, n, W): each row the sum of the rows `index` (B, n, 4) of its image, weighted.

    The image of each is the one at its `place` (B,), by default its own.
    """
    batch, channels, rows, width = images.shape
    first = torch.arange(batch, device=images.device) if place is None else place
    band = torch.arange(channels, device=images.device)
    start = rows * (first[:, None] * channels + band).view(batch, channels, 1, 1)
    chosen = (start + index[:, None]).flatten(0, 2)
    share = weights[:, None].expand(-1, channels, -1, -1).flatten(0, 2)
    table = images.reshape(-1, width)
    sums = functional.embedding_bag(chosen, table, mode="sum", per_sample_weights=share)
    return sums.view(batch, channels, -1, width)
