"""Ask a model about one image with a few pixels changed, by the cheapest forward pass that is exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from galshift.audit.batches import CPU_PATCHES, suited_batch
from galshift.audit.graph import trace
from galshift.audit.incremental import IncrementalForward, Plan
from galshift.models.precision import exact_float32
from galshift.types import Output

_HEAD_FLOATS = (
    2**21
)  # of the maps that the rest of the network reads at once, a CPU's cache and fresh memory set the limit
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
        self._whole = suited_batch(model, shape, self.device)
        network = trace(model, shape, self.patch) if incremental else None
        self._forward = None if network is None else IncrementalForward(network, shape, (self.patch,) * 2)
        if self._forward is not None and not self._agrees():
            self._forward = None
        self.incremental = self._forward is not None
        patches = self._whole
        if self._forward is not None and self.device.type == "cpu":
            patches = min(CPU_PATCHES, max(self._whole, _HEAD_FLOATS // network.head_floats))
        self.chunk = chunk or patches
        self._everywhere: list[Places] = []
        self._image: Tensor | None = None

    @torch.inference_mode()
    def load(self, stretched: Tensor) -> None:
        """Take `stretched` (C, H, W) as the image to change."""
        self._image = stretched.to(self.device)
        if self._forward is not None:
            with exact_float32(self.device):
                self._forward.load(self._image)

    def everywhere(self) -> Iterator[Places]:
        """Yield every pixel of the image as a place of impact, row by row; prepared once for all images."""
        if not self._everywhere:
            height, width = self.shape[1:]
            pixels = torch.arange(height * width)
            self._everywhere = [self.places(part // width, part % width) for part in pixels.split(self.chunk)]
        yield from self._everywhere

    @torch.inference_mode()
    def places(self, rows: Tensor, columns: Tensor) -> Places:
        """Return the places (B,) with what the forward pass can prepare for them."""
        bare = self.bare_places(rows, columns)
        if self._forward is None:
            return bare
        return replace(bare, plan=self._forward.plan(*self._corners(rows.cpu(), columns.cpu())))

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
        with exact_float32(self.device):
            self._forward.load(image)
            quick = self._forward.forward(self._forward.plan(bare.top, bare.left), values).logits
            whole = self.model(paste(image, bare, values)).logits
        return bool((quick - whole).abs().max() <= _TOLERANCE * (1 + whole.abs().max()))

    def bare_places(self, rows: Tensor, columns: Tensor) -> Places:
        """Return the places (B,) for whole forward passes only."""
        rows, columns = rows.to(self.device), columns.to(self.device)
        return Places(rows, columns, *self._corners(rows, columns))

    def _corners(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return first row and column (B,) of the patches about these pixels."""
        height, width = self.shape[1:]
        top = (rows - self.patch // 2).clamp(0, height - self.patch)
        return top, (columns - self.patch // 2).clamp(0, width - self.patch)

    @torch.inference_mode()
    def query(self, places: Places, values: Tensor) -> Output:
        """Return the output for the loaded image with each patch holding `values` (B, C, p, p)."""
        if self._forward is None:
            return self.output(paste(self._image, places, values))
        try:
            with exact_float32(self.device):
                return self._forward.forward(places.plan, values)
        except torch.OutOfMemoryError:
            return self._in_halves(places, values)

    def output(self, images: Tensor) -> Output:
        """Return the output of whole stretched images (B, C, H, W), in chunks."""
        images, done, parts = images.to(self.device), 0, []
        with torch.inference_mode(), exact_float32(self.device):
            while done < len(images) or not parts:
                try:
                    parts.append(self.model(images[done : done + self._whole]))
                except torch.OutOfMemoryError:
                    if self._whole == 1:
                        raise
                    self._whole //= 2
                    continue
                done += self._whole
        return Output(*(torch.cat(tensors) for tensors in zip(*parts))) if len(parts) > 1 else parts[0]

    def _in_halves(self, places: Places, values: Tensor) -> Output:
        """Ask in two parts what did not fit into memory, and smaller batches from the next image on."""
        if len(places) == 1:
            raise torch.OutOfMemoryError(f"the memory of {self.device} does not hold one query")
        half = len(places) // 2
        self.chunk, self._everywhere = min(self.chunk, half), []
        parts = [
            self.query(self.places(places.rows[part], places.columns[part]), values[part])
            for part in (slice(half), slice(half, None))
        ]
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
