"""A toy classifier and images for tests of the audit."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from galshift.audit.attack import Images, Setting, value_range
from galshift.audit.config import Detector
from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Fault, Scene
from galshift.types import Output

SIDE = 16
CLASSES = ("elliptical", "merger", "spiral")
BANDS = ("g", "r", "i")


class Toy(nn.Module):
    """Two convolutions and a dense layer, at random: every pixel matters, and some decide."""

    def __init__(self, bands: int = 3, classes: int = 3, *, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.trunk = nn.Sequential(
            nn.Conv2d(bands, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU()
        )
        self.head = nn.Linear(6 * (SIDE // 2 - 2) ** 2, classes)
        with torch.no_grad():
            self.head.weight *= 4
        self.eval()

    def forward(self, images: Tensor) -> Output:
        """Return features and logits."""
        features = self.trunk(images).flatten(1)
        return Output(features, self.head(features))


def asinh(linear: Tensor) -> Tensor:
    """Stretch pixel by pixel."""
    return torch.asinh(linear / 2)


def by_peak(linear: Tensor) -> Tensor:
    """Stretch by the brightest pixel of the image."""
    return linear / linear.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)


def linear_images(n: int, bands: int = 3, *, seed: int = 1) -> Tensor:
    """Return N images of noise around a blob."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    blob = 5 * torch.exp(-((y - 7.5) ** 2 + (x - 7.5) ** 2) / 8)
    return blob + torch.randn(n, bands, SIDE, SIDE, generator=generator)


def predicted(model: nn.Module, linear: Tensor, stretch=asinh) -> np.ndarray:
    """Return what the model says of every image: labels that it gets right."""
    with torch.no_grad():
        return model(stretch(linear)).logits.argmax(1).numpy()


def images_of(linear: Tensor, labels: np.ndarray, *, classes=CLASSES) -> Images:
    """Return the images to attack, named galaxy-0, galaxy-1, ..."""
    n, bands = linear.shape[:2]
    return Images(linear, np.asarray(labels), [f"galaxy-{i}" for i in range(n)], classes, BANDS[:bands])


def setting_of(
    model: nn.Module, fault: str, linear: Tensor, *, options: dict | None = None, stretch=asinh, **more
) -> Setting:
    """Return a model under one fault; one image unit is 100 electrons."""
    kind: type[Fault] = FAULTS.get(fault)
    config = kind.Config(**(options or {}))
    detector = Detector(electrons_per_unit=(100.0,), sky_e=(50.0,))
    scene = Scene(
        BANDS[: linear.shape[1]],
        detector,
        *value_range(stretch, linear[torch.isfinite(linear).all(dim=(1, 2, 3))]),
    )
    return Setting(model, stretch, kind(config), scene, **more)
