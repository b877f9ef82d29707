"""The source given the seeing and colours of the target: widths by definition, colours as they were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.match_look import Look, colour_factors, look_between, missing_width, widened
from galshift.data.open import ReadOptions, open_dataset
from galshift.domains.config import SplitConfig
from galshift.domains.domain import open_source, open_target
from galshift.domains.match_look import LookedAt, in_words, looked_at, psf_widths
from galshift.errors import ConfigError, DataError
from galshift.mocks.psf import kolmogorov_otf
from galshift.recipes.prepare import prepare
from galshift.training.sets import TrainingSet
from galshift.verbs.adapt.config import AdaptStepConfig, wants_matching
from galshift.verbs.adapt.job import network_job

KINDS = {"red": (0.2, 0.35, 0.45), "blue": (0.4, 0.35, 0.25)}


def point(size: int = 65) -> Tensor:
    image = torch.zeros(1, 1, size, size, dtype=torch.float64)
    image[..., size // 2, size // 2] = 1
    return image


def galaxies(n: int, seed: int, factor: tuple[float, ...] = (1, 1, 1)) -> Tensor:
    """(N, 3, 24, 24) blobs, half of them red and half blue, under noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:24, :24] - 11.5
    shares = [KINDS[("red", "blue")[k % 2]] for k in range(n)]
    light = np.array(shares)[:, :, None, None] * rng.uniform(2000, 9000, (n, 1, 1, 1))
    truth = light * np.exp(-(x**2 + y**2) / 18) / (18 * np.pi)
    noisy = rng.normal(truth * np.array(factor)[:, None, None], 1.0)
    return torch.from_numpy(noisy.astype(np.float32))


@pytest.mark.parametrize("fwhm", [4.0, 7.0])
def test_a_point_becomes_as_wide_as_was_asked(fwhm: float) -> None:
    seen = widened(point(), [fwhm])[0, 0]
    assert float(seen.sum()) == pytest.approx(1, abs=0.03)  # turbulence has wings beyond any image
    row = seen[32, 32:].numpy() / float(seen[32, 32])
    assert 2 * np.interp(-0.5, -row, np.arange(len(row))) == pytest.approx(fwhm, rel=0.02)


def test_what_is_missing_takes_one_turbulence_to_another() -> None:
    k = np.linspace(0, 0.5, 40)
    product = kolmogorov_otf(k, 4.0) * kolmogorov_otf(k, missing_width(4.0, 6.5))
    np.testing.assert_allclose(product, kolmogorov_otf(k, 6.5), atol=1e-12)
    assert missing_width(6.5, 4.0) == 0.0


def test_bands_out_of_tune_are_found() -> None:
    source = galaxies(300, 1)
    found = np.array(colour_factors(source, galaxies(300, 2, (1.15, 1.0, 0.87))))
    assert found / found[1] == pytest.approx([1.15, 1.0, 0.87], rel=0.02)
    assert colour_factors(source, galaxies(300, 3)) == pytest.approx([1, 1, 1], abs=0.02)
    assert colour_factors(source[:9], galaxies(300, 3)) == [1.0, 1.0, 1.0]  # too few to tell
    assert colour_factors(torch.zeros(40, 3, 24, 24), source) == [1.0, 1.0, 1.0]


def test_seeing_is_only_ever_widened() -> None:
    images = galaxies(40, 1)
    wider = look_between(images, images, ([0.7] * 3, [1.0, 0.7, 0.5]), 0.2)
    assert wider.fwhm_px == pytest.approx([(1 - 0.7 ** (5 / 3)) ** 0.6 / 0.2, 0, 0])
    assert look_between(images, images, None, 0.2).fwhm_px == [0, 0, 0]
    same = Look(fwhm_px=[0, 0, 0], factor=[1, 1, 1])
    assert torch.equal(same(images), images)


def test_images_in_memory_and_on_disk_are_changed_alike() -> None:
    class Disk:
        block, span = 5, 2

        def __len__(self) -> int:
            return 20

        def fetch(self, indices: Tensor) -> Tensor:
            return images[indices]

    images, look = galaxies(20, 1), Look(fwhm_px=[3, 2, 0], factor=[1.1, 1, 0.9])
    ids = tuple(map(str, range(20)))
    rows = torch.tensor([3, 17, 4])
    held, fetched = (looked_at(TrainingSet(one, ids=ids), look) for one in (images, Disk()))
    assert torch.allclose(held.take(rows), fetched.take(rows), rtol=1e-5, atol=1e-4)
    assert not torch.equal(held.take(rows), images[rows])
    assert isinstance(fetched.images, LookedAt)
    assert fetched.mixing == (5, 2)


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [
        (0.8, [0.8, 0.8]),
        (np.array([0.7, 0.8, 0.9]), [0.8, 0.8]),
        (np.array([[0.7, 1.0], [0.8, 1.1], [np.nan, 1.2]]), [1.1, 0.75]),
        (None, None),
        (np.array([[0.7, np.nan]] * 3), None),
    ],
)
def test_widths_are_those_of_the_networks_bands(stated, wanted, tmp_path: Path) -> None:
    images = np.ones((3, 2, 8, 8), np.float32)
    names = np.array(["a", "b", "c"])
    given = {"bands": ("r", "i"), "ids": names, "groups": names, "unit": "nJy", "pixel_scale": 0.2}
    write_hdf5(tmp_path / "a.h5", [Cutouts(images=images, psf_fwhm=stated, **given)])
    found = psf_widths(open_dataset(str(tmp_path / "a.h5")).info, ("i", "r"))
    assert found == (None if wanted is None else pytest.approx(wanted))


def test_words() -> None:
    look = Look(fwhm_px=[3.0, 0.0], factor=[1.101, 0.995])
    told = in_words(look, ("g", "r"), 0.2)
    assert "turbulence of g 0.60 arcsec" in told
    assert "in flux by g 1.10" in told
    assert "like the target already" in in_words(Look(fwhm_px=[0, 0], factor=[1, 1]), ("g", "r"), None)


def survey(path: Path, n: int, factor: tuple[float, ...] = (1, 1, 1), **facts: object) -> str:
    ids = np.array([f"{path.stem}-{k}" for k in range(n)])
    facts |= {"ids": ids, "groups": ids, "labels": np.arange(n) % 2, "classes": ("red", "blue")}
    images = galaxies(n, n, factor).numpy()
    return str(write_hdf5(path, [Cutouts(images=images, bands=("g", "r", "i"), unit="nJy", **facts)]))


def test_adapt_trains_on_a_source_of_the_targets_look(tmp_path: Path, capsys) -> None:
    split, facts = SplitConfig(), {"pixel_scale": 0.2}
    paths = {
        "source": survey(tmp_path / "source.h5", 300, psf_fwhm=0.6, **facts),
        "target": survey(tmp_path / "target.h5", 250, (1.15, 1.0, 0.87), psf_fwhm=0.9, **facts),
    }
    config = AdaptStepConfig(**paths, method="coral", match_look="both")
    source = open_source(paths["source"], ReadOptions(), split, 1)
    target = open_target(paths["target"], ReadOptions(), split, 1)
    plain, alike = (
        network_job(config.model_copy(update={"match_look": what}), source, target, "cpu")
        for what in (None, "both")
    )
    # (0.9^5/3 - 0.6^5/3)^3/5 = 0.588 arcsec
    assert "match_look: the source is seen through turbulence of g 0.59" in capsys.readouterr().err
    for part in ("source", "valid"):
        before, after = (getattr(job, part).images for job in (plain, alike))
        peaks = [float(images[:, 1].amax(dim=(1, 2)).median()) for images in (before, after)]
        assert peaks[1] < 0.9 * peaks[0]
        ratio = (after.sum(dim=(2, 3)) / before.sum(dim=(2, 3))).median(dim=0).values
        assert (ratio / ratio[1]).tolist() == pytest.approx([1.15, 1.0, 0.87], rel=0.06)
    assert torch.equal(plain.target.images, alike.target.images)


def test_seeing_that_is_not_known_is_asked_for(tmp_path: Path) -> None:
    paths = [survey(tmp_path / f"{name}.h5", 30, pixel_scale=0.2) for name in ("source", "target")]
    source = open_source(paths[0], ReadOptions(psf="0.7"), SplitConfig(), 1)
    target = open_target(paths[1], ReadOptions(), SplitConfig(), 1)
    config = AdaptStepConfig(source=paths[0], target=paths[1], method="coral", match_look="seeing")
    with pytest.raises(DataError, match="the PSF of the target is not known"):
        network_job(config, source, target, "cpu")
    stated = open_target(paths[1], ReadOptions(psf="1.1"), SplitConfig(), 1)
    network_job(config, source, stated, "cpu")


def test_finished_runs_stay_finished_and_an_observed_source_is_refused(tmp_path: Path) -> None:
    values = {name: survey(tmp_path / f"{name}.h5", 4) for name in ("source", "target")}
    unsaid, plain, other = (
        prepare("adapt", values | more).fingerprint
        for more in ({}, {"match_look": None}, {"match_look": "seeing"})
    )
    assert unsaid == plain != other
    config = AdaptStepConfig(**values, match_look="seeing", observe={"survey": "sdss"})
    with pytest.raises(ConfigError, match="observed as the survey already"):
        wants_matching(config)
