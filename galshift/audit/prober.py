"""Ask a model about one image with a few pixels changed, by the cheapest forward pass that is exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from galshift.audit.graph import trace
from galshift.audit.incremental import IncrementalForward, Plan
from galshift.types import Output

# Larger batches on a CPU are slower: every activation is then fresh memory (3 times, measured).
_CHUNK = {"cpu": (512, 64), "cuda": (8192, 2048)}
_HEAD_FLOATS = 2**21  # of the maps that the rest of the network reads at once, for the same reason
_TOLERANCE = 1e-4  # relative, of logits; float32 sums in another order differ by a few 1e-6


@dataclass(frozen=True)
class Places:
    """A batch of places of impact.

    Attributes
    ----------
    rows, columns : Tensor
        (B,) pixel of impact.
    top, left : Tensor
        (B,) first pixel of the patch that may change; the patch lies inside the image.
    plan : Plan or None
        What the incremental forward prepared for them.
    """

    rows: Tensor
    columns: Tensor
    top: Tensor
    left: Tensor
    plan: Plan | None = None

    def __len__(self) -> int:
        return len(self.rows)


class Prober:
    """The model's answers for one image at a time with patches changed.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, returning :class:`galshift.types.Output`.
    shape : tuple of int
        (C, H, W).
    patch : int
        Side of the square patch that a query may change, odd and centred on the place of impact.
    incremental : bool
        False always runs the whole network (for comparison).
    chunk : int, optional
        Queries a batch.

    Attributes
    ----------
    incremental : bool
        Whether only the patch's reach is recomputed.
    """

    def __init__(
        self,
        model: nn.Module,
        shape: tuple[int, int, int],
        patch: int = 1,
        *,
        incremental: bool = True,
        chunk: int | None = None,
    ) -> None:
        self.model = model
        self.shape = shape
        self.patch = min(patch, *shape[1:])
        self.device = next(model.parameters()).device
        network = trace(model, shape, self.patch) if incremental else None
        self._forward = None if network is None else IncrementalForward(network, shape, (self.patch,) * 2)
        if self._forward is not None and not self._agrees():
            self._forward = None
        self.incremental = self._forward is not None
        patches, images = _CHUNK.get(self.device.type, _CHUNK["cpu"])
        if self._forward is not None and self.device.type == "cpu":
            patches = min(patches, max(images, _HEAD_FLOATS // network.head_floats))
        self.chunk = chunk or (patches if self.incremental else images)
        self._whole = images
        self._everywhere: list[Places] = []
        self._image: Tensor | None = None

    @torch.inference_mode()
    def load(self, stretched: Tensor) -> None:
        """Take `stretched` (C, H, W) as the image to change."""
        self._image = stretched.to(self.device)
        if self._forward is not None:
            self._forward.load(self._image)

    def everywhere(self) -> Iterator[Places]:
        """Yield every pixel of the image as a place of impact, row by row; prepared once for all images."""
        if not self._everywhere:
            height, width = self.shape[1:]
            pixels = torch.arange(height * width, device=self.device)
            self._everywhere = [self.places(part // width, part % width) for part in pixels.split(self.chunk)]
        yield from self._everywhere

    @torch.inference_mode()
    def places(self, rows: Tensor, columns: Tensor) -> Places:
        """Return the places (B,) with what the forward pass can prepare for them."""
        bare = self.bare_places(rows, columns)
        return bare if self._forward is None else replace(bare, plan=self._forward.plan(bare.top, bare.left))

    @torch.inference_mode()
    def _agrees(self) -> bool:
        """Return whether both forward passes say the same of a random image struck at corners and centre."""
        generator = torch.Generator().manual_seed(0)
        height, width = self.shape[1:]
        rows = torch.tensor([0, 0, height - 1, height - 1, height // 2])
        columns = torch.tensor([0, width - 1, 0, width - 1, width // 2])
        image = torch.randn(self.shape, generator=generator).to(self.device)
        values = torch.randn(5, self.shape[0], self.patch, self.patch, generator=generator).to(self.device)
        bare = self.bare_places(rows, columns)
        self._forward.load(image)
        quick = self._forward.forward(self._forward.plan(bare.top, bare.left), values).logits
        whole = self.model(paste(image, bare, values)).logits
        return bool((quick - whole).abs().max() <= _TOLERANCE * (1 + whole.abs().max()))

    def bare_places(self, rows: Tensor, columns: Tensor) -> Places:
        """Return the places (B,) for whole forward passes only."""
        rows, columns = rows.to(self.device), columns.to(self.device)
        height, width = self.shape[1:]
        top = (rows - self.patch // 2).clamp(0, height - self.patch)
        left = (columns - self.patch // 2).clamp(0, width - self.patch)
        return Places(rows, columns, top, left)

    @torch.inference_mode()
    def query(self, places: Places, values: Tensor) -> Output:
        """Return the output for the loaded image with each patch holding `values` (B, C, p, p)."""
        if self._forward is not None:
            return self._forward.forward(places.plan, values)
        return self.model(paste(self._image, places, values))

    def output(self, images: Tensor) -> Output:
        """Return the output of whole stretched images (B, C, H, W), in chunks."""
        with torch.inference_mode():
            parts = [self.model(part) for part in images.to(self.device).split(self._whole)]
        return Output(*(torch.cat(tensors) for tensors in zip(*parts)))


def paste(image: Tensor, places: Places, values: Tensor) -> Tensor:
    """Return copies (B, C, H, W) of `image` (C, H, W) with the patches at `places` replaced by `values`."""
    batch, patch = len(places), values.shape[-1]
    images = image.expand(batch, *image.shape).clone()
    y, x = patch_pixels(places, patch)
    images[torch.arange(batch, device=image.device)[:, None, None], :, y, x] = values.permute(0, 2, 3, 1)
    return images


def patch_pixels(places: Places, patch: int) -> tuple[Tensor, Tensor]:
    """Return row (B, p, 1) and column (B, 1, p) of every pixel of the patches."""
    offset = torch.arange(patch, device=places.top.device)
    return (places.top[:, None] + offset)[:, :, None], (places.left[:, None] + offset)[:, None, :]
