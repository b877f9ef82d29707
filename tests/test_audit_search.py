"""The searches against a plain loop over all pixels, and images that are hard to deal with."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from galshift.audit.attack import attack, grid_of, n_queries, replay
from galshift.audit.config import AttackConfig, EvolutionConfig, GradientConfig
from tests.audit_helpers import (
    SIDE,
    Toy,
    asinh,
    by_peak,
    images_of,
    linear_images,
    predicted,
    setting_of,
)

AMPLITUDES = (300.0, 100.0)


def brute_force(model, linear, label, stretch=asinh, target=None) -> dict:
    """Strike every pixel of one image with every amplitude in every band, one full forward at a time."""
    before = float(model(stretch(linear[None])).logits.softmax(1)[0, label])
    flips, drop = [], torch.full((SIDE, SIDE), -torch.inf)
    for amplitude, band in product(AMPLITUDES, range(len(linear))):
        for y, x in product(range(SIDE), range(SIDE)):
            image = linear.clone()
            image[band, y, x] += amplitude / 100
            logits = model(stretch(image[None])).logits[0]
            found = int(logits.argmax())
            if found == target or (target is None and found != label):
                flips.append((amplitude, band, y, x))
            drop[y, x] = max(drop[y, x], before - float(logits.softmax(0)[label]))
    n = len(AMPLITUDES) * len(linear) * SIDE * SIDE
    return {"flips": flips, "share": len(flips) / n, "drop": drop, "queries": n}


@pytest.fixture(autouse=True)
def no_gradients():
    """Keep the tests' own forward passes cheap."""
    with torch.no_grad():
        yield


@pytest.mark.parametrize(("bands", "classes"), [(3, 3), (1, 2)])
@pytest.mark.parametrize("stretch", [asinh, by_peak])
def test_the_complete_search_is_the_plain_loop(bands: int, classes: int, stretch) -> None:
    model = Toy(bands, classes)
    linear = linear_images(5, bands)
    labels = predicted(model, linear, stretch)
    setting = setting_of(
        model,
        "hot",
        linear,
        options={"amplitudes_e": AMPLITUDES},
        stretch=stretch,
        image_dependent=stretch is by_peak,
    )
    rows = list(attack(setting, images_of(linear, labels), AttackConfig()))
    verdicts = set()
    for row, image, label in zip(rows, linear, labels):
        expected, values = brute_force(model, image, int(label), stretch), row.values
        assert values["flipped"] is bool(expected["flips"])
        assert values["certified"] is not values["flipped"]
        assert values["queries"] == expected["queries"]
        assert values["flip_share"] == pytest.approx(expected["share"], abs=1e-12)
        np.testing.assert_allclose(row.vulnerability, expected["drop"], atol=1e-5)
        assert (values["flipped_locally"] is None) is (stretch is asinh)
        strongest = (values["amplitudes"][0][0], "gri".index(values["bands"][0]), *values["rows"])
        if values["flipped"]:
            assert (*strongest, *values["columns"]) in expected["flips"]
            amplitude, band, y, x = expected["flips"][0]
            variant = AMPLITUDES.index(amplitude) * bands + band
            assert values["first"] == [y, x, variant]
            assert values["queries_to_flip"] == variant * SIDE**2 + y * SIDE + x + 1
        else:
            assert (values["first"], values["queries_to_flip"]) == (None, None)
        verdicts.add(values["flipped"])
    assert verdicts == {True, False}


def test_targeted() -> None:
    model, linear = Toy(), linear_images(6)
    labels = predicted(model, linear)
    setting = setting_of(model, "hot", linear, options={"amplitudes_e": AMPLITUDES}, target=2)
    rows = list(attack(setting, images_of(linear, labels), AttackConfig()))
    for row, image, label in zip(rows, linear, labels):
        if label == 2:
            assert row.values["status"] == "is the target"
            continue
        flips = brute_force(model, image, int(label), target=2)["flips"]
        assert row.values["flipped"] is bool(flips)
        if flips:
            assert row.values["prediction_after"] == "spiral"
    assert {row.values["status"] for row in rows} == {"attacked", "is the target"}
    assert "the target class" in grid_of(setting, AttackConfig(), (3, SIDE, SIDE))["statement"]


def test_two_pixels_include_every_flip_of_one_and_are_no_certificate() -> None:
    model, linear = Toy(), linear_images(8)
    images = images_of(linear, predicted(model, linear))
    setting = setting_of(model, "hot", linear, options={"amplitudes_e": (100.0,)})
    flipped = {}
    for k in (1, 3, 5):
        rows = [row.values for row in attack(setting, images, AttackConfig(pixels=k))]
        flipped[k] = {row["id"] for row in rows if row["flipped"]}
        for row, image in zip(rows, linear):
            assert len(row["rows"]) == len(row["columns"]) == len(row["amplitudes"]) <= k
            assert row["certified"] is (k == 1 and not row["flipped"])
            # The changed image is the sum of the strikes that the row tells of.
            again = image.clone()
            for y, x, band, values in zip(row["rows"], row["columns"], row["bands"], row["amplitudes"]):
                again["gri".index(band), y, x] += values[0] / 100
            after = replay(setting, image, row)[1]
            np.testing.assert_allclose(after, asinh(again[None])[0], atol=1e-6)
            logits = model(after[None]).logits[0]
            assert row["p_after"] == pytest.approx(float(logits.softmax(0)[images.labels[rows.index(row)]]))
    assert flipped[1] < flipped[3] <= flipped[5]
    assert grid_of(setting, AttackConfig(pixels=3), (3, SIDE, SIDE)) is None


@pytest.mark.parametrize("fault", ["rgb", "hot", "cosmic"])
@pytest.mark.parametrize("pixels", [1, 3])
def test_evolution_is_seeded_and_the_same_in_any_company(fault: str, pixels: int) -> None:
    model, linear = Toy(), linear_images(5)
    images = images_of(linear, predicted(model, linear))
    setting = setting_of(model, fault, linear)

    def run(together: int, seed: int = 1) -> list[dict]:
        de = EvolutionConfig(population=20, generations=6, together=together)
        config = AttackConfig(search="de", pixels=pixels, seed=seed, de=de)
        return [row.values for row in attack(setting, images, config)]

    alone = run(1)
    assert run(1) == alone
    assert run(5) == run(3) == alone
    assert run(5, seed=2) != alone
    for row, image in zip(alone, linear):
        assert row["certified"] is False
        assert (
            row["queries"]
            <= 20 * 7
            == n_queries(
                setting,
                AttackConfig(search="de", de=EvolutionConfig(population=20, generations=6)),
                (3, 16, 16),
            )
        )
        after = replay(setting, image, row)[1]
        changed = (after - asinh(image[None])[0]).abs().amax(0) > 1e-6
        assert int(changed.sum()) <= pixels * (1 if fault != "cosmic" else 5)
        assert images.classes[int(model(after[None]).logits.argmax())] == row["prediction_after"]


def test_evolution_never_finds_what_the_complete_search_excludes_and_gradient_neither() -> None:
    model, linear = Toy(), linear_images(12)
    images = images_of(linear, predicted(model, linear))
    setting = setting_of(model, "hot", linear, options={"amplitudes_e": AMPLITUDES})
    complete = [row.values["flipped"] for row in attack(setting, images, AttackConfig())]
    de = AttackConfig(search="de", de=EvolutionConfig(population=100, generations=20))
    for config in (de, AttackConfig(search="gradient", gradient=GradientConfig(candidates=300))):
        found = [row.values["flipped"] for row in attack(setting, images, config)]
        assert sum(found) > 0
        assert not [i for i, flip in enumerate(found) if flip and not complete[i]]
    assert 0 < sum(complete) < 12


def test_all_candidates_by_gradient_are_the_complete_search() -> None:
    model, linear = Toy(), linear_images(6)
    images = images_of(linear, predicted(model, linear))
    setting = setting_of(model, "hot", linear, options={"amplitudes_e": AMPLITUDES})
    everything = AttackConfig(search="gradient", gradient=GradientConfig(candidates=6 * SIDE * SIDE))
    for full, quick in zip(attack(setting, images, AttackConfig()), attack(setting, images, everything)):
        assert full.values["flipped"] == quick.values["flipped"]
        assert full.values["p_after"] == pytest.approx(quick.values["p_after"], abs=1e-5)


def test_images_that_cannot_be_attacked_say_why() -> None:
    model, linear = Toy(), linear_images(5)
    labels = predicted(model, linear)
    labels[1] = (labels[1] + 1) % 3
    labels[2] = -1
    linear[3, 0, 4, 4] = torch.nan
    setting = setting_of(model, "rgb", linear)
    rows = [row.values for row in attack(setting, images_of(linear, labels), AttackConfig())]
    assert [row["status"] for row in rows] == [
        "attacked",
        "already wrong",
        "no label",
        "not finite",
        "attacked",
    ]
    assert "flipped" not in rows[1]


@pytest.mark.parametrize("search", ["exhaustive", "de", "gradient"])
def test_a_constant_image_alone(search: str) -> None:
    model, linear = Toy(), torch.full((1, 3, SIDE, SIDE), 2.0)
    labels = predicted(model, linear)
    config = AttackConfig(search=search, de=EvolutionConfig(population=8, generations=2))
    (row,) = attack(setting_of(model, "hot", linear), images_of(linear, labels), config)
    assert row.values["status"] == "attacked"
    (row,) = attack(setting_of(model, "rgb", linear), images_of(linear, labels), config)
    # The range of values is one value: nothing can change.
    assert row.values["flipped"] is False
    assert row.values["p_after"] == pytest.approx(row.values["p_before"], abs=1e-6)


def test_images_already_done_are_left_out() -> None:
    model, linear = Toy(), linear_images(4)
    images = images_of(linear, predicted(model, linear))
    setting = setting_of(model, "rgb", linear)
    whole = [row.values for row in attack(setting, images, AttackConfig())]
    rest = list(attack(setting, images, AttackConfig(), done={"galaxy-0", "galaxy-2"}))
    assert [row.values for row in rest] == [whole[1], whole[3]]
