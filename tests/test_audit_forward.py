"""The incremental forward equals the full one, for every pixel, and gives way where it would not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from galshift.audit.graph import trace
from galshift.audit.prober import Prober, paste
from galshift.models.build import build_model
from galshift.types import Output

SIZE = 24


class Odd(nn.Module):
    """Every kind of layer the reader knows, in awkward sizes, with branches that meet again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 5, stride=2, padding=2)
        self.wide = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2)
        self.same = nn.Conv2d(4, 4, (1, 3), padding="same", bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.mean_pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.last = nn.Conv2d(8, 3, 2)
        self.head = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Output:
        """Return features and logits."""
        x = functional.relu(self.stem(x), inplace=True)
        x = torch.cat([x + self.wide(x), self.same(x)], dim=1)
        x = self.norm(x)
        x = self.pool(x) + self.mean_pool(x)
        features = functional.silu(self.last(x)).flatten(1)
        return Output(features, self.head(features))


class Branches(nn.Module):
    """Code that looks at values cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 3, 3)

    def forward(self, x: Tensor) -> Output:
        """Return features and logits."""
        x = self.layer(x) if x.mean() > 0 else -self.layer(x)
        return Output(x.mean((2, 3)), x.mean((2, 3)))


class Sly(nn.Conv2d):
    """A convolution in name that looks at the whole image."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of the image less its mean."""
        return super().forward(x - x.mean((2, 3), keepdim=True))


def lively(model: nn.Module) -> nn.Module:
    """Give batch norms statistics of their own, and the head weights that make logits of order 1."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
        for parameter in model.head.parameters():
            parameter.normal_(0, 1, generator=generator)
    return model.eval()


def worst_difference(model: nn.Module, bands: int, size: int, patch: int) -> tuple[Prober, float, float]:
    """Return the prober, the largest difference of logits over 1 + the largest, and how much they vary."""
    generator = torch.Generator().manual_seed(3)
    image = torch.randn(bands, size, size, generator=generator)
    prober = Prober(model, (bands, size, size), patch)
    prober.load(image)
    worst, spread, seen = 0.0, 0.0, 0
    with torch.inference_mode():
        for places in prober.everywhere():
            values = 3 * torch.randn(len(places), bands, patch, patch, generator=generator)
            quick = prober.query(places, values).logits
            whole = model(paste(image, places, values)).logits
            difference = (quick - whole).abs().max() / (1 + whole.abs().max())
            assert torch.isfinite(difference)
            worst, spread = max(worst, float(difference)), max(spread, float(whole.std(0).max()))
            seen += len(places)
    assert seen == size * size
    return prober, worst, spread


@pytest.mark.parametrize("patch", [1, 5])
@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("deepmerge", {}, 24),
        ("deepmerge", {}, 27),
        ("deepmerge", {}, 60),
        ("deepmerge", {"latent": "convolutional"}, 24),
        ("sidda", {}, 27),
        ("sidda", {}, 61),
        ("equivariant", {"width": 2, "blocks": 3}, 24),
        ("equivariant", {"width": 2, "blocks": 3, "group": "c4"}, 27),
        ("resnet18", {"width": 4}, 24),
    ],
)
def test_incremental_is_the_full_forward_for_every_pixel(
    name: str, options: dict, size: int, patch: int
) -> None:
    model = lively(build_model(name, in_channels=2, size=size, n_classes=3, options=options, seed=1))
    prober, worst, spread = worst_difference(model, 2, size, patch)
    assert prober.incremental
    assert spread > 1e-3
    assert worst < 2e-6


@pytest.mark.parametrize(
    ("name", "options", "size", "by_windows"),
    [
        ("deepmerge", {}, 60, True),
        ("sidda", {}, 61, True),
        # The whole map counts: most of it changes, or it is what the network gives as features.
        ("deepmerge", {}, 24, False),
        ("deepmerge", {"latent": "convolutional"}, 60, False),
    ],
)
def test_a_linear_layer_of_a_map_is_asked_by_windows_where_they_are_small(
    name: str, options: dict, size: int, by_windows: bool
) -> None:
    model = lively(build_model(name, in_channels=2, size=size, n_classes=3, options=options))
    network = trace(model, (2, size, size))
    assert bool(network.dense) is by_windows
    assert bool(network.frontier) is not by_windows


@pytest.mark.parametrize("size", [21, 24])
@pytest.mark.parametrize("patch", [1, 3])
def test_any_network_of_local_layers_is_read(size: int, patch: int) -> None:
    torch.manual_seed(2)
    model = Odd().eval()
    with torch.no_grad():
        model(torch.zeros(1, 2, size, size))
    prober, worst, spread = worst_difference(lively(model), 2, size, patch)
    assert prober.incremental
    assert spread > 1e-3
    assert worst < 2e-6


@pytest.mark.parametrize("name", ["vit", "branches", "sly"])
def test_other_networks_are_run_whole(name: str) -> None:
    if name == "vit":
        model = build_model("vit", in_channels=2, size=SIZE, n_classes=3).eval()
    elif name == "branches":
        model = Branches().eval()
    else:
        # A plug-in that lies about what it is must not be believed.
        model = lively(build_model("deepmerge", in_channels=2, size=SIZE, n_classes=3))
        model.encoder[0][0] = Sly(2, 8, 5, padding=2)
    prober, worst, _ = worst_difference(model, 2, SIZE, 1)
    assert not prober.incremental
    assert worst < 2e-6


def test_reading_a_network_leaves_no_trace_in_it() -> None:
    model = build_model("equivariant", in_channels=2, size=SIZE, n_classes=3).eval()
    before = set(vars(model)), list(model.state_dict())
    Prober(model, (2, SIZE, SIZE))
    assert (set(vars(model)), list(model.state_dict())) == before


def test_a_network_in_training_mode_is_not_read() -> None:
    # Dropout and batch statistics have no one answer to agree with.
    model = build_model("sidda", in_channels=2, size=SIZE, n_classes=3).train()
    assert not Prober(model, (2, SIZE, SIZE)).incremental
