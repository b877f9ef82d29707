"""Apply a fault to one image at chosen places, before the model's own stretch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from galshift.audit.config import Detector
from galshift.audit.faults._base import Fault, Scene, Variant, strike
from galshift.audit.prober import Places, paste, patch_pixels


class Injector:
    """One fault, the stretch and the detector, acting on one loaded image at a time.

    Parameters
    ----------
    fault : Fault
    scene : Scene
    stretch : callable
        (B, C, h, w) linear to stretched images; pixel by pixel unless `image_dependent`.
    image_dependent : bool
        True where the stretch of a pixel depends on the whole image.

    Attributes
    ----------
    variants : list of Variant
        The complete grid.
    patch : int
        Odd side of the square that holds every stencil.
    rescales : bool
        True where a fault changes the stretch of the whole image.
    """

    def __init__(
        self,
        fault: Fault,
        scene: Scene,
        stretch: Callable[[Tensor], Tensor],
        *,
        image_dependent: bool = False,
    ) -> None:
        self.fault, self.stretch, self.scene = fault, stretch, scene
        self.detector: Detector = scene.detector
        self.variants: Sequence[Variant] = fault.variants(scene)
        reach = max(max(abs(dy), abs(dx)) for v in self.variants for dy, dx, _ in v.stencil)
        self.patch = 2 * reach + 1
        self.rescales = image_dependent and not fault.stretched
        self._stencils = [_stencil(variant, reach) for variant in self.variants]
        self._struck: dict[int, Tensor] = {}
        self._by_variant: tuple[Tensor, Tensor, Tensor] | None = None

    @torch.inference_mode()
    def load(self, linear: Tensor) -> Tensor:
        """Take `linear` (C, H, W) as the image to strike and return it stretched."""
        self._linear = linear
        self._struck = {}
        self._stencils = [stencil.to(linear) for stencil in self._stencils]
        self.stretched = self.stretch(linear[None])[0]
        return self.stretched

    def continue_from(self, linear: Tensor, stretched: Tensor) -> None:
        """Take an image that was struck already, (C, H, W), so that the next pixel adds to it."""
        self.load(linear)
        self.stretched = stretched

    @torch.inference_mode()
    def patches(self, index: int, places: Places) -> Tensor:
        """Return the stretched patches (B, C, p, p) after variant `index` struck at each place.

        For a stretch that depends on the whole image these are the *local* values: see :meth:`images`.
        """
        if self.patch == 1 and not self.rescales:
            # A pixelwise stretch lets every place be struck at once, and each pixel read from that image.
            if index not in self._struck:
                ones = torch.ones((), device=self._linear.device)
                self._struck[index] = self._strike(index, self._linear[None], ones.expand(1, 1))[0]
            return self._struck[index][:, places.rows, places.columns].T[:, :, None, None]
        if self.rescales:
            images = self.images(index, places)
            return cut(images, places, self.patch)
        y, x = patch_pixels(places, min(self.patch, *self._linear.shape[1:]))
        linear = self._linear[:, y, x].transpose(0, 1)
        return self._strike(index, linear, self._shares(index, places))

    @torch.inference_mode()
    def images(self, index: int, places: Places) -> Tensor:
        """Return whole stretched images (B, C, H, W) after variant `index` struck at each place."""
        if self.fault.stretched:
            return paste(self.stretched, places, self.patches(index, places))
        linear = self._linear.expand(len(places), *self._linear.shape)
        return self.stretch(self.strike_each(index, linear, places))

    @torch.inference_mode()
    def apply(self, index: int, row: int, column: int) -> tuple[Tensor, Tensor]:
        """Return the image (C, H, W) after one strike, as linear flux and stretched.

        A fault in the stretched image has no linear form; the linear image is then returned unchanged.
        """
        places = _one_place(row, column, self.patch, self._linear)
        stretched = self.images(index, places)[0]
        if self.fault.stretched:
            return self._linear, stretched
        return self.strike_each(index, self._linear[None], places)[0], stretched

    @torch.inference_mode()
    def strike_each(self, index: int, linear: Tensor, places: Places) -> Tensor:
        """Return the linear images (B, C, H, W), each after variant `index` struck at its own place."""
        y, x = patch_pixels(places, min(self.patch, *linear.shape[2:]))
        batch = torch.arange(len(places), device=linear.device)[:, None, None]
        before = linear[batch, :, y, x].permute(0, 3, 1, 2)
        shares = self._shares(index, places)
        after = strike(self.fault, self.variants[index], before, shares, _same, self.detector)
        images = linear.clone()
        images[batch, :, y, x] = after.permute(0, 2, 3, 1)
        return images

    @torch.inference_mode()
    def strike_mixed(self, indices: Tensor, linear: Tensor, places: Places) -> Tensor:
        """Return the linear images (B, C, H, W), each after its own variant of `indices` (B,) struck.

        The same numbers as :meth:`strike_each`, variant by variant, in one go.
        """
        amplitudes, bands, stencils = self._tables(linear)
        y, x = patch_pixels(places, min(self.patch, *linear.shape[2:]))
        batch = torch.arange(len(places), device=linear.device)[:, None, None]
        before = linear[batch, :, y, x].permute(0, 3, 1, 2)
        centre, last = stencils.shape[1] // 2, stencils.shape[1] - 1
        dy, dx = y - places.rows[:, None, None] + centre, x - places.columns[:, None, None] + centre
        inside = (dy >= 0) & (dy <= last) & (dx >= 0) & (dx <= last)
        own = indices[:, None, None]
        shares = torch.where(inside, stencils[own, dy.clamp(0, last), dx.clamp(0, last)], 0.0)[:, None]
        value = amplitudes[indices][:, :, None, None] * shares
        struck = bands[indices][:, :, None, None]
        if self.fault.adds:
            after = torch.where(struck, before + value, before)
        else:
            after = torch.where(struck & (shares > 0), value, before)
        images = linear.clone()
        images[batch, :, y, x] = after.permute(0, 2, 3, 1)
        return images

    def _tables(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return, by variant, amplitudes (V, C) in image units, bands struck (V, C), stencils (V, p, p)."""
        if self._by_variant is None:
            amplitudes = torch.zeros(len(self.variants), len(self.scene.bands))
            bands = torch.zeros(amplitudes.shape, dtype=torch.bool)
            for row, variant in enumerate(self.variants):
                amplitudes[row, list(variant.bands)] = torch.tensor(variant.values)
                bands[row, list(variant.bands)] = True
            if not self.fault.stretched:
                amplitudes = amplitudes / torch.tensor(self.detector.scale(amplitudes.shape[1]))
            tables = (amplitudes, bands, torch.stack(self._stencils))
            self._by_variant = tuple(table.to(like.device) for table in tables)
        return self._by_variant

    def _strike(self, index: int, linear: Tensor, shares: Tensor) -> Tensor:
        return strike(self.fault, self.variants[index], linear, shares, self.stretch, self.detector)

    def _shares(self, index: int, places: Places) -> Tensor:
        """Return the share of the amplitude in each pixel of the patches, (B, p, p)."""
        y, x = patch_pixels(places, min(self.patch, *self._linear.shape[1:]))
        stencil = self._stencils[index]
        centre = stencil.shape[0] // 2
        dy, dx = y - places.rows[:, None, None] + centre, x - places.columns[:, None, None] + centre
        inside = (dy >= 0) & (dy < stencil.shape[0]) & (dx >= 0) & (dx < stencil.shape[1])
        last = stencil.shape[0] - 1
        return torch.where(inside, stencil[dy.clamp(0, last), dx.clamp(0, last)], 0.0)


def _same(image: Tensor) -> Tensor:
    return image


def _stencil(variant: Variant, reach: int) -> Tensor:
    """Return the variant's stencil as a square of shares."""
    square = torch.zeros(2 * reach + 1, 2 * reach + 1)
    for dy, dx, share in variant.stencil:
        square[reach + dy, reach + dx] += share
    return square


def cut(images: Tensor, places: Places, patch: int) -> Tensor:
    """Return the patches (B, C, p, p) of `images` (B, C, H, W) at `places`."""
    y, x = patch_pixels(places, min(patch, *images.shape[2:]))
    batch = torch.arange(len(places), device=images.device)[:, None, None]
    return images[batch, :, y, x].permute(0, 3, 1, 2)


def _one_place(row: int, column: int, patch: int, image: Tensor) -> Places:
    height, width = image.shape[1:]
    patch = min(patch, height, width)
    top = min(max(row - patch // 2, 0), height - patch)
    left = min(max(column - patch // 2, 0), width - patch)
    return Places(*(torch.tensor([value], device=image.device) for value in (row, column, top, left)))
