"""The searches on a GPU: nothing on the wrong device, nothing that waits inside a pass, nothing rounded off.

Most of it needs no GPU.  Tensors on the device ``meta`` have no values: to fetch one from there raises, as
would waiting for it, and to mix them with tensors on the CPU raises as on a GPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from galshift.audit import batches, evolution, prober
from galshift.audit._problem import Goal, Problem
from galshift.audit.attack import attack
from galshift.audit.config import AttackConfig, Detector, EvolutionConfig, GradientConfig
from galshift.audit.exhaustive import _Pass
from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Scene
from galshift.audit.graph import trace
from galshift.audit.incremental import IncrementalForward
from galshift.audit.injector import Injector
from galshift.audit.prober import Prober
from galshift.models.build import build_model
from galshift.models.precision import exact_float32
from galshift.types import Output
from tests.audit_helpers import BANDS, Toy, asinh, by_peak, images_of, linear_images, predicted, setting_of

META = torch.device("meta")
COPIES = ("aten._to_copy", "aten.copy_", "aten.to.")


class Calls(TorchDispatchMode):
    """Counts all calls, and those that carry a tensor from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.all, self.copies = 0, Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Run and count one call."""
        out = function(*args, **(kwargs or {}))
        self.all += 1
        if str(function).startswith(COPIES):
            source = args[1] if str(function).startswith("aten.copy_") else args[0]
            if isinstance(source, Tensor) and source.device != out.device:
                self.copies[source.device.type] += 1
        return out


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    """Keep the tests' own forward passes cheap."""
    with torch.no_grad():
        yield


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let probers run on the device without values, which knows no autocast, as on a GPU with memory."""
    monkeypatch.setattr(prober, "suited_batch", lambda *given: 8192)
    monkeypatch.setattr(prober, "exact_float32", lambda device: nullcontext())


def problem_on_meta(side: int, fault: str, *, chunk: int, stretch=asinh) -> Problem:
    """Return an image of `side` pixels on ``meta`` to attack."""
    scene = Scene(
        BANDS,
        Detector(electrons_per_unit=(100.0,), sky_e=(50.0,)),
        torch.zeros(3),
        torch.ones(3),
    )
    kind = FAULTS.get(fault)
    injector = Injector(kind(kind.Config()), scene, stretch, image_dependent=stretch is by_peak)
    model = build_model("resnet18", in_channels=3, size=64, n_classes=3, options={"width": 4}).eval()
    shape = (3, side, side)
    asked = Prober(model.to(META), shape, injector.patch, incremental=False, chunk=chunk)
    return Problem(asked, injector, Goal(1), torch.zeros(shape, device=META))


def calls_of_a_pass(side: int, fault: str, *, chunk: int, stretch=asinh) -> tuple[Calls, int]:
    """Return what one pass over every pixel and variant calls, and the number of batches."""
    problem = problem_on_meta(side, fault, chunk=chunk, stretch=stretch)
    list(problem.prober.everywhere())
    with Calls() as calls:
        _Pass(problem, problem.injector.load(problem.linear)).ask()
    return calls, -(-(side**2) // chunk) * len(problem.injector.variants)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("fault", "stretch"), [("rgb", asinh), ("hot", asinh), ("cosmic", asinh), ("dead", by_peak)]
)
def test_a_pass_never_waits_and_calls_grow_with_batches_not_with_pixels(fault: str, stretch) -> None:
    small, n = calls_of_a_pass(16, fault, chunk=256, stretch=stretch)
    large, m = calls_of_a_pass(32, fault, chunk=1024, stretch=stretch)
    assert n == m
    assert large.all == small.all
    assert large.copies == small.copies
    assert "meta" not in large.copies
    # Each batch costs the network's layers and a few more; constants travel to the GPU once a variant.
    assert large.all / n < 400
    assert large.copies["cpu"] <= 3 * n


@pytest.mark.parametrize("name", ["deepmerge", "resnet18", "equivariant"])
def test_the_incremental_forward_stays_on_its_device(name: str) -> None:
    options = {"resnet18": {"width": 4}, "equivariant": {"width": 2, "blocks": 3}}.get(name, {})
    model = build_model(name, in_channels=2, size=64, n_classes=3, options=options).eval().to(META)
    network = trace(model, (2, 64, 64))
    forward = IncrementalForward(network, (2, 64, 64))
    forward.load(torch.zeros(2, 64, 64, device=META))
    counted = []
    for n in (256, 4096):
        pixels = torch.arange(n)
        plan = forward.plan(pixels // 64, pixels % 64)
        with Calls() as calls:
            output = forward.forward(plan, torch.zeros(n, 2, 1, 1, device=META))
        assert output.logits.shape == (n, 3)
        assert output.logits.device == META
        assert not calls.copies
        counted.append(calls.all)
    assert counted[0] == counted[1]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("pixels", [1, 3])
@pytest.mark.parametrize("fault", ["rgb", "hot", "cosmic"])
def test_a_generation_of_evolution_never_waits_to_be_made(fault: str, pixels: int) -> None:
    problem = replace(problem_on_meta(32, fault, chunk=1024), pixels=pixels)
    counted, n_genes = [], 5 if fault == "rgb" else 3
    evolution.struck_images(problem, torch.rand(2, pixels, n_genes))
    for population in (50, 400):
        with Calls() as calls:
            images = evolution.struck_images(problem, torch.rand(population, pixels, n_genes))
        assert images.shape == (population, 3, 32, 32)
        assert images.device == META
        counted.append((calls.all, calls.copies))
    assert counted[0] == counted[1]


@pytest.mark.parametrize("fault", ["hot", "dead", "saturated", "cosmic"])
def test_variants_struck_together_are_those_struck_one_by_one(fault: str) -> None:
    linear = linear_images(40)
    setting = setting_of(Toy(), fault, linear)
    injector = Injector(setting.fault, setting.scene, asinh)
    injector.load(linear[0])
    asked = Prober(setting.model, (3, 16, 16), injector.patch, incremental=False)
    generator = torch.Generator().manual_seed(4)
    rows, columns = torch.randint(16, (2, 40), generator=generator)
    indices = torch.randint(len(injector.variants), (40,), generator=generator)
    together = injector.strike_mixed(indices, linear, asked.bare_places(rows, columns))
    for i, variant in enumerate(indices.tolist()):
        places = asked.bare_places(rows[i : i + 1], columns[i : i + 1])
        alone = injector.strike_each(variant, linear[i : i + 1], places)
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=0)


def test_batches_fill_the_memory_that_is_free() -> None:
    gib = 2**30
    assert batches.batch_for(16 * gib, 2**20) == 8192
    assert batches.batch_for(16 * gib, 2**20 + 1) == 4096
    assert batches.batch_for(80 * gib, 2**10) == 16_384
    assert batches.batch_for(2**20, 2**20) == 64
    # ResNet18 at 64 pixels holds at least its first three maps, 64 x 32 x 32 floats, and not 100 times that.
    model = build_model("resnet18", in_channels=3, size=64, n_classes=3).eval()
    each = batches.bytes_per_image(model, (3, 64, 64))
    assert 3 * 4 * 64 * 32**2 < each < 100 * 4 * 64 * 32**2
    assert batches.suited_batch(model, (3, 64, 64), torch.device("cpu")) == batches.CPU_IMAGES
    assert not any(module._forward_hooks for module in model.modules())


class Cramped(nn.Module):
    """A network whose device has memory for so many images."""

    def __init__(self, model: nn.Module, most: int) -> None:
        super().__init__()
        self.model, self.most = model, most

    def forward(self, images: Tensor) -> Output:
        """Refuse too many."""
        if images.shape[0] > self.most:
            raise torch.OutOfMemoryError
        return self.model(images)


def test_too_large_a_batch_is_asked_in_parts() -> None:
    model, linear = Toy(), linear_images(40)
    images = images_of(linear[:3], predicted(model, linear[:3]))
    expected = [row.values for row in attack(setting_of(model, "hot", linear), images, AttackConfig())]
    cramped = Cramped(model, 5).eval()
    found = [row.values for row in attack(setting_of(cramped, "hot", linear), images, AttackConfig())]
    for one, other in zip(found, expected, strict=True):
        assert one["first"] == other["first"]
        assert one["flip_share"] == other["flip_share"]
    with pytest.raises(torch.OutOfMemoryError):
        list(attack(setting_of(Cramped(model, 0).eval(), "hot", linear), images, AttackConfig()))


def test_incremental_queries_that_do_not_fit_are_asked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Toy()
    asked, image = Prober(model, (3, 16, 16)), linear_images(1)[0]
    assert asked.incremental
    asked.load(image)
    (places,) = asked.everywhere()
    values = torch.randn(256, 3, 1, 1, generator=torch.Generator().manual_seed(1))
    expected = asked.query(places, values).logits
    run = asked._forward.forward

    def cramped(plan, patches):
        if plan.size > 70:
            raise torch.OutOfMemoryError
        return run(plan, patches)

    monkeypatch.setattr(asked._forward, "forward", cramped)
    torch.testing.assert_close(asked.query(places, values).logits, expected, rtol=0, atol=1e-5)
    assert [len(part) for part in asked.everywhere()] == [64] * 4


def test_full_precision_whatever_the_caller_chose() -> None:
    cudnn, cpu = torch.backends.cudnn, torch.device("cpu")
    if not hasattr(cudnn, "conv"):
        pytest.skip("this PyTorch has one switch for all of cuDNN")
    own = cudnn.conv.fp32_precision
    for before in ("ieee", "none", own):
        cudnn.conv.fp32_precision = before
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with exact_float32(cpu):
                assert cudnn.conv.fp32_precision == "ieee"
                assert torch.backends.cuda.matmul.fp32_precision == "ieee"
                assert torch.nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.float32
            assert torch.is_autocast_enabled("cpu")
        assert cudnn.conv.fp32_precision == before
    # And the searches do use it.
    model, linear = Toy(), linear_images(4)
    images = images_of(linear, predicted(model, linear))
    setting = setting_of(model, "hot", linear)
    for search in ("exhaustive", "gradient"):
        config = AttackConfig(search=search, gradient=GradientConfig(candidates=20))
        expected = [row.values for row in attack(setting, images, config)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert [row.values for row in attack(setting, images, config)] == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("search", ["exhaustive", "de", "gradient"])
@pytest.mark.parametrize("fault", ["rgb", "hot", "cosmic"])
@pytest.mark.parametrize("name", ["deepmerge", "resnet18", "vit"])
def test_cuda_gives_the_verdicts_of_the_cpu(name: str, fault: str, search: str) -> None:
    options = {"resnet18": {"width": 8}}.get(name, {})
    model = build_model(name, in_channels=3, size=64, n_classes=3, options=options, seed=2).eval()
    generator = torch.Generator().manual_seed(6)
    linear = 3 * torch.randn(6, 3, 64, 64, generator=generator)
    labels = predicted(model, linear)
    de = EvolutionConfig(population=40, generations=4)
    config = AttackConfig(search=search, de=de, gradient=GradientConfig(candidates=50))
    rows = {}
    for device in ("cpu", "cuda"):
        setting = setting_of(model.to(device), fault, linear)
        rows[device] = [row.values for row in attack(setting, images_of(linear, labels), config)]
    for here, there in zip(rows["cpu"], rows["cuda"], strict=True):
        for key in ("status", "flipped", "certified", "prediction_after", "queries"):
            assert here.get(key) == there.get(key)
        np.testing.assert_allclose(here["p_after"], there["p_after"], atol=1e-4)
