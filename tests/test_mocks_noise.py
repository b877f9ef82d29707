"""Photon, sky and read noise, pairs, correlation, seeing, redshift, sky and faults, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from galshift import surveys
from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.units import unit_name
from galshift.errors import ConfigError, DataError
from galshift.mocks.artifacts import ArtifactConfig, bleed
from galshift.mocks.config import ObserveConfig
from galshift.mocks.observe import observe, observe_in_full
from galshift.mocks.on_the_fly import observer_for
from galshift.mocks.pairs import nested, observe_pair
from galshift.mocks.poisson import poisson


def blank(n=4, size=256, bands=("r",), scale=0.2, value=0.0, **more):
    images = np.full((n, len(bands), size, size), value, dtype=np.float32)
    ids = np.array([f"blank-{i}" for i in range(n)])
    return Cutouts(images, unit="nJy", pixel_scale=scale, bands=bands, ids=ids, **more)


def electrons(survey, name):
    """Sky + dark electrons, read variance and electrons per nJy, from the preset's numbers by hand."""
    band, pixel = survey.bands[name], survey.pixel_scale.value
    seconds = band.exposures.value * band.exposure_time.value
    sky = seconds * pixel**2 * 10 ** (-0.4 * (band.sky.value - band.zero_point.value))
    dark = seconds * band.dark.value if band.dark else 0.0
    per_njy = seconds * 10 ** (-0.4 * (31.4 - band.zero_point.value))
    return sky + dark, band.exposures.value * band.read_noise.value**2, per_njy


@pytest.mark.parametrize(
    ("name", "band"), [("lsst-visit", "u"), ("lsst-y1", "r"), ("sdss", "z"), ("euclid-vis", "VIS")]
)
def test_blank_field_has_the_analytic_mean_variance_and_skew(name, band):
    survey = surveys.load(name)
    fields = blank(8, bands=(band,), scale=survey.pixel_scale.value)
    pixels = observe(fields, survey, config=ObserveConfig(noise="exact")).images.astype(float).ravel()
    background, read, per_njy = electrons(survey, band)
    variance = (background + read) / per_njy**2
    n = pixels.size
    assert abs(pixels.mean()) < 4 * np.sqrt(variance / n)
    assert pixels.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / n))
    # The third moment is that of the Poisson part alone: skew = lambda / (lambda + read noise^2)^1.5.
    skew = background / (background + read) ** 1.5
    assert stats.skew(pixels) == pytest.approx(skew, abs=4 * np.sqrt(6 / n))


@pytest.mark.parametrize("mean", [10.0, 30.0, 1400.0, 3e5])
def test_poisson_variates_have_poissons_probabilities(mean):
    generators = [torch.Generator().manual_seed(seed) for seed in range(40)]
    drawn = poisson(torch.full((40, 250, 100), mean), generators).double().numpy().ravel()
    # Sixty bins of about equal probability, and the far tails, where a normal variate would be wrong.
    edges = np.unique(
        stats.poisson.ppf([1e-5, 1e-4, *np.linspace(0.001, 0.999, 57), 1 - 1e-4, 1 - 1e-5], mean)
    )
    cumulative = stats.poisson.cdf(edges, mean)
    expected = np.diff(np.concatenate([[0], cumulative, [1]])) * drawn.size
    bins = np.searchsorted(edges, drawn, side="left")
    counts = np.bincount(bins, minlength=len(expected))
    assert stats.chisquare(counts, expected).pvalue > 1e-4
    assert np.array_equal(drawn, np.round(drawn))


def test_poisson_planes_do_not_depend_on_each_other():
    expected = torch.rand(6, 64, 64) * 500 + torch.tensor([0.0, 5, 20, 1000, 1e5, 1e7])[:, None, None]

    def streams():
        return [torch.Generator().manual_seed(seed) for seed in range(6)]

    together = poisson(expected, streams())
    alone = torch.cat([poisson(expected[i : i + 1], streams()[i : i + 1]) for i in range(6)])
    assert torch.equal(together, alone)
    assert together.mean(dim=(1, 2)).numpy() == pytest.approx(expected.mean(dim=(1, 2)).numpy(), rel=0.02)


def test_inverse_variance_is_that_of_the_noise_with_the_sources_photons():
    survey = surveys.load("lsst-y1")
    seen = observe_in_full(blank(24, 96, value=300.0), survey)
    inner = np.s_[:, :, 24:-24, 24:-24]  # the edge lacks light, which is right but not uniform
    pulls = (seen.cutouts.images - seen.truth)[inner] * np.sqrt(seen.cutouts.ivar[inner])
    assert pulls.var() == pytest.approx(1, abs=4 * np.sqrt(2 / pulls.size))
    background, read, per_njy = electrons(survey, "r")
    level = float(seen.truth[inner].mean())
    expected = per_njy**2 / (background + read + level * per_njy)
    assert seen.cutouts.ivar[inner].mean() == pytest.approx(expected, rel=1e-3)


def test_gaussian_noise_is_used_only_where_licensed():
    bright, faint = surveys.load("lsst-y1"), surveys.load("euclid-vis")
    config = ObserveConfig(noise="gaussian")
    assert (
        observe_in_full(blank(1, 32), bright, config=config).records[0]["bands"]["r"]["noise"] == "gaussian"
    )
    record = observe_in_full(blank(1, 32, ("VIS",), 0.1), faint, config=config).records[0]
    assert record["bands"]["VIS"]["noise"] == "exact"
    none = observe_in_full(blank(1, 32, value=5), bright, config=ObserveConfig(noise="none"))
    assert np.array_equal(none.cutouts.images, none.truth)
    assert not none.cutouts.ivar.any()


@pytest.mark.parametrize("noise", ["exact", "gaussian"])
def test_nested_pair_shares_its_photons(noise):
    y1, y10 = surveys.load("lsst-y1"), surveys.load("lsst-y10")
    assert nested(y1, y10)
    config = ObserveConfig(noise=noise)
    shallow, deep = observe_pair(blank(6, bands=("r", "i")), y1, y10, config=config)
    for c in range(2):
        a, b = (x.cutouts.images[:, c].astype(float).ravel() for x in (shallow, deep))
        n = a.size
        assert b.var() / a.var() == pytest.approx(0.1, rel=4 * np.sqrt(4 / n))
        assert np.corrcoef(a, b)[0, 1] == pytest.approx(np.sqrt(0.1), abs=4 / np.sqrt(n))
        # What the further nine years saw is independent of the first.
        further = (10 * b - a) / 9
        assert abs(np.corrcoef(a, further)[0, 1]) < 4 / np.sqrt(n)
    assert np.array_equal(shallow.truth, deep.truth)
    alone = observe(blank(6, bands=("r", "i")), y1, config=config)
    assert np.array_equal(alone.images, shallow.cutouts.images)
    swapped = observe_pair(blank(6, bands=("r", "i")), y10, y1, config=config)
    assert np.array_equal(swapped[0].cutouts.images, deep.cutouts.images)


def test_surveys_that_do_not_nest_still_pair():
    assert not nested(surveys.load("sdss"), surveys.load("lsst-y1"))
    one, two = observe_pair(blank(2, 64), surveys.load("sdss"), surveys.load("hsc-wide"))
    assert one.cutouts.images.shape[2:] == (32, 32)
    assert two.cutouts.images.shape[2:] == (76, 76)


def galaxies(n=65, size=40, seed=3):
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size)) - size / 2
    images = np.stack(
        [[b * 40 * np.exp(-np.hypot(y, x * rng.uniform(1, 2)) / 3) for b in (1, 2)] for _ in range(n)]
    )
    ids = np.array([f"g{i:03d}" for i in range(n)])
    return Cutouts(images.astype(np.float32), unit="nJy", pixel_scale=0.15, bands=("g", "r"), ids=ids)


@pytest.mark.parametrize("config", [ObserveConfig(), ObserveConfig(seeing="quartiles", random_phase=True)])
def test_pixels_do_not_depend_on_batch_order_or_the_other_bands(config):
    survey, given = surveys.load("sdss"), galaxies()
    whole = observe(given, survey, config=config)
    for step in (1, 8):
        parts = [
            observe(given.take(range(i, min(i + step, 65))), survey, config=config)
            for i in range(0, 65, step)
        ]
        for key in ("images", "ivar", "mask", "psf_fwhm"):
            assert np.array_equal(np.concatenate([getattr(p, key) for p in parts]), getattr(whole, key))
    order = np.random.default_rng(0).permutation(65)
    assert np.array_equal(observe(given.take(order), survey, config=config).images, whole.images[order])
    only_r = observe(given, survey, bands=("r",), config=config)
    assert np.array_equal(only_r.images[:, 0], whole.images[:, 1])
    assert not np.array_equal(observe(given, survey, config=config, seed=1).images, whole.images)


def test_seeing_follows_the_quartiles():
    survey = surveys.load("sdss")
    seen = observe(blank(2000, 4), survey, config=ObserveConfig(seeing="quartiles", noise="none"))
    found = np.percentile(seen.psf_fwhm[:, 0], [25, 50, 75])
    low, high = (q.value for q in survey.bands["r"].fwhm_quartiles)
    # The preset quotes effective widths, the mocks the widths of their profiles: the spread is the same.
    assert found / found[1] == pytest.approx(
        np.array([low, np.sqrt(low * high), high]) / np.sqrt(low * high), rel=0.02
    )
    with pytest.raises(ConfigError, match="quartiles"):
        observe(
            blank(1, 8, ("VIS",), 0.1), surveys.load("euclid-vis"), config=ObserveConfig(seeing="quartiles")
        )


def test_correlated_noise_has_its_autocorrelation_and_keeps_large_apertures():
    survey = surveys.load("lsst-y1")
    white = observe(blank(16), survey, config=ObserveConfig())
    made = observe(blank(16), survey, config=ObserveConfig(noise_correlation="bilinear"))
    x = made.images[:, 0].astype(float)
    power = np.mean(np.abs(np.fft.fft2(x)) ** 2, axis=0)
    measured = np.fft.ifft2(power).real
    measured /= measured[0, 0]
    line = {0: 1.0, 1: 0.25, 2: 0.0}  # 1/6 over 2/3 along an axis, the square of it diagonally
    for dy in range(3):
        for dx in range(3):
            assert measured[dy, dx] == pytest.approx(line[dy] * line[dx], abs=0.02)
    boxes = [
        v.reshape(16, 16, 16, 16, 16).sum(axis=(2, 4)).var() for v in (x, white.images[:, 0].astype(float))
    ]
    assert boxes[0] / boxes[1] == pytest.approx(1 - 0.125 * 1 / 16, abs=0.08)
    assert x.var() * made.ivar.mean() == pytest.approx(1, abs=0.02)


def test_redshifting_dims_and_shrinks_as_astropy_says():
    from astropy import units
    from astropy.cosmology import Planck18

    survey, z1, z2 = surveys.load("lsst-y10"), 0.05, 0.06
    given = galaxies(2)
    config = ObserveConfig(noise="none", redshift=z1, to_redshift=z2, k_correction="matched")
    near = observe_in_full(given, survey, config=ObserveConfig(noise="none", size=80)).truth
    far = observe_in_full(given, survey, config=config.model_copy(update={"size": 80})).truth
    ratio = (1 + z2) / (1 + z1) * (Planck18.luminosity_distance(z1) / Planck18.luminosity_distance(z2)) ** 2
    assert far.sum() / near.sum() == pytest.approx(float(ratio), rel=1e-4)
    # A pixel of given parsecs spans what the angular-diameter distance says; AB brightness dims as (1+z)^-3.
    physical = ObserveConfig(
        noise="none", redshift=z1, to_redshift=z2, pixel_scale_parsec=200, k_correction="matched"
    )
    flat = blank(1, 256, value=1.0).with_(unit="nJy / arcsec2", pixel_scale=None)
    seen = observe_in_full(flat, survey, config=physical)
    angle = (200 * units.pc / Planck18.angular_diameter_distance(z2)).to_value(
        units.arcsec, units.dimensionless_angles()
    )
    side = seen.truth.shape[2]
    assert side == int(256 * angle / 0.2)
    unmoved = physical.model_copy(update={"to_redshift": None})
    bright = observe_in_full(flat, survey, config=unmoved).truth
    dimmed = seen.truth[0, 0, side // 2, side // 2] / bright[0, 0, bright.shape[2] // 2, bright.shape[2] // 2]
    assert dimmed == pytest.approx(((1 + z1) / (1 + z2)) ** 3, rel=1e-3)


@pytest.mark.parametrize(("choice", "wavelength"), [("interpolate", 616.6 * 1.05 / 1.2), ("none", 616.6)])
def test_the_light_that_a_new_redshift_shows(choice, wavelength):
    # A spectrum whose f_nu equals the wavelength, so that interpolating in wavelength is exact.
    from astropy.cosmology import Planck18

    survey = surveys.load("sdss")
    bands = ("u", "g", "r", "i")
    lit = blank(1, 64, bands, scale=0.396)
    y, x = np.indices((64, 64)) - 31.5
    shape = np.exp(-(y**2 + x**2) / 50)
    nm = np.array([survey.bands[band].wavelength.value for band in bands])
    lit = lit.with_(images=(nm[None, :, None, None] * shape).astype(np.float32))
    config = ObserveConfig(noise="none", redshift=0.05, to_redshift=0.2, k_correction=choice, size=64)
    seen = observe_in_full(lit, survey, bands=("r",), config=config).truth.sum()
    dimmed = 1.2 / 1.05 * (Planck18.luminosity_distance(0.05) / Planck18.luminosity_distance(0.2)) ** 2
    assert seen == pytest.approx(wavelength * shape.sum() * float(dimmed), rel=1e-3)


def test_a_large_move_asks_for_the_light_it_shows():
    with pytest.raises(ConfigError, match="246 nm"):
        observe(galaxies(1), surveys.load("sdss"), config=ObserveConfig(redshift=0.05, to_redshift=1.0))


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("nJy", 1.0),
        ("uJy", 1e-3),
        ("maggies", 1 / 3631e9),
        ("nmgy", 1 / 3631),
        ("MJy / sr", 1 / (23504.43 * 0.15**2)),
    ],
)
def test_every_unit_gives_the_same_mock(unit, factor):
    given, survey = galaxies(1), surveys.load("lsst-y1")
    expected = observe_in_full(given, survey).truth
    scaled = given.with_(images=(given.images * factor).astype(np.float32), unit=unit_name(unit))
    found = observe_in_full(scaled, survey).truth
    assert np.abs(found - expected).max() <= 2e-5 * expected.max()


def test_surface_brightness_in_magnitudes_with_dark_pixels():
    given, survey = galaxies(1), surveys.load("lsst-y1")
    with np.errstate(divide="ignore"):
        mags = 31.4 - 2.5 * np.log10(np.where(given.images > 1, given.images, 0) / 0.15**2)
    dark = np.where(given.images > 1, given.images, 0)
    expected = observe_in_full(given.with_(images=dark.astype(np.float32)), survey).truth
    found = observe_in_full(given.with_(images=mags.astype(np.float32), unit="mag / arcsec2"), survey).truth
    assert np.abs(found - expected).max() <= 2e-5 * expected.max()


@pytest.mark.parametrize(
    ("change", "words"), [({"unit": "dimensionless"}, "unit"), ({"pixel_scale": None}, "pixel scale")]
)
def test_images_that_say_too_little_are_refused(change, words):
    with pytest.raises(DataError, match=words) as caught:
        observe(galaxies(1).with_(**change), surveys.load("sdss"))
    assert caught.value.hint


def test_real_sky_is_inserted_with_source_photons_alone(tmp_path):
    survey, rng = surveys.load("lsst-y1"), np.random.default_rng(5)
    field = blank(3, 96).with_(images=rng.normal(0, 7, (3, 1, 96, 96)).astype(np.float32))
    path = write_hdf5(tmp_path / "blank.h5", field)
    config = ObserveConfig(sky=str(path))
    given = blank(4, 64)
    seen = observe_in_full(given, survey, config=config)
    assert seen.cutouts.images.std() == pytest.approx(7, rel=0.05)
    assert np.sqrt(1 / seen.cutouts.ivar).mean() == pytest.approx(7, rel=0.05)  # not the preset's 4.2
    assert seen.records[0]["bands"]["r"]["sky_sigma_njy"] == pytest.approx(7, rel=0.1)
    assert {record["sky"] for record in seen.records} <= {f"blank-{i}" for i in range(3)}
    assert np.array_equal(
        observe_in_full(given.take([2]), survey, config=config).cutouts.images, seen.cutouts.images[2:3]
    )
    with pytest.raises(DataError, match="smaller"):
        observe(blank(1, 200), survey, config=config)


def test_faults_are_masked_and_leave_the_rest_alone():
    survey, given = surveys.load("lsst-y1"), galaxies(12, 64)
    clean = observe(given, survey)
    faults = ArtifactConfig(
        cosmic_rays_per_megapixel=900, hot_pixel_fraction=0.003, bad_columns=0.8, satellite_trails=0.4
    )
    seen = observe_in_full(given, survey, config=ObserveConfig(artifacts=faults))
    changed = seen.cutouts.images != clean.images
    assert 0.005 < seen.cutouts.mask.mean() < 0.5
    # A trail's faint skirt (beyond 3 sigma of its profile) is below the noise and not called bad.
    strong = np.abs(seen.cutouts.images - clean.images) * np.sqrt(clean.ivar) > 0.3
    assert not (strong & ~seen.cutouts.mask).any()
    assert changed[seen.cutouts.mask].mean() > 0.9
    assert not seen.cutouts.ivar[seen.cutouts.mask].any()
    counts = [record["artifacts"] for record in seen.records]
    assert np.mean([c["cosmic_rays"] for c in counts]) == pytest.approx(2 * 900 * 48**2 / 1e6, rel=0.5)
    again = observe_in_full(given.take([5]), survey, config=ObserveConfig(artifacts=faults))
    assert np.array_equal(again.cutouts.images[0], seen.cutouts.images[5])


def test_bleeding_keeps_the_charge():
    charge = np.full((21, 5), 10.0)
    charge[10, 2] = 1000.0
    spilled = bleed(charge, 100.0)
    assert spilled.max() <= 100.0
    assert spilled.sum() == pytest.approx(charge.sum())
    assert np.array_equal(spilled[:, [0, 1, 3, 4]], charge[:, [0, 1, 3, 4]])


@pytest.mark.parametrize("faults", [ArtifactConfig(jpeg_quality=90), ArtifactConfig(eight_bit=True)])
def test_pictures_lose_little(faults):
    survey, given = surveys.load("lsst-y1"), galaxies(4, 64)
    clean, seen = (
        observe(given, survey, config=ObserveConfig(artifacts=a)) for a in (ArtifactConfig(), faults)
    )
    error = (seen.images - clean.images) * np.sqrt(clean.ivar)
    assert 0 < np.sqrt(np.mean(error**2)) < 1.0
    assert abs(error.mean()) < 0.1


def test_sky_residual_is_reported():
    survey = surveys.load("lsst-y1")
    seen = observe_in_full(blank(30, 32), survey, config=ObserveConfig(sky_residual=0.002, noise="none"))
    offsets = np.array([record["sky_residual_njy"]["r"] for record in seen.records])
    background, _, per_njy = electrons(survey, "r")
    assert offsets.std() == pytest.approx(0.002 * background / per_njy, rel=0.4)
    assert seen.cutouts.images.mean(axis=(1, 2, 3)) == pytest.approx(offsets, rel=0.2, abs=1e-3)


@pytest.mark.parametrize(
    "config",
    [
        ObserveConfig(),
        ObserveConfig(seeing="quartiles", random_phase=True, noise="gaussian", size=20),
        ObserveConfig(noise_correlation="bilinear", input_psf=0.4),
    ],
)
def test_on_the_fly_gives_what_is_stored(config):
    survey, given = surveys.load("sdss"), galaxies(9)
    observer = observer_for(given, survey, config=config, seed=7)
    draws = [0, 0, 0, 1, 1, 1, 2, 2, -1]
    found = observer(torch.from_numpy(given.images), given.ids, draws)
    named = given.with_(ids=np.array([f"{name}/{draw}" for name, draw in zip(given.ids, draws)]))
    stored = observe(named, survey, config=config, seed=7)
    assert np.array_equal(found.numpy(), stored.images)
    assert found.shape[2] == observer.side(40)
    # Another batch of the same galaxies and passes is the same; another pass is not.
    again = observer(torch.from_numpy(given.images[3:5]), given.ids[3:5], [1, 2])
    assert torch.equal(again[0], found[3])
    assert not torch.equal(again[1], found[4])


def test_on_the_fly_refuses_what_it_cannot_do():
    with pytest.raises(ConfigError, match="sky"):
        observer_for(galaxies(1), surveys.load("sdss"), config=ObserveConfig(sky_residual=0.1))
    with pytest.raises(DataError, match="band"):
        observer_for(galaxies(1), surveys.load("euclid-vis"))
    with pytest.raises(DataError, match="nJy"):
        observer_for(galaxies(1).with_(unit="uJy"), surveys.load("sdss"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_truth_and_noise_statistics():
    survey, given = surveys.load("lsst-y1"), galaxies(16)
    cpu, gpu = (observe_in_full(given, survey, device=device) for device in ("cpu", "cuda"))
    assert np.abs(cpu.truth - gpu.truth).max() <= 1e-5 * cpu.truth.max()
    pulls = (gpu.cutouts.images - gpu.truth) * np.sqrt(gpu.cutouts.ivar)
    assert pulls.var() == pytest.approx(1, abs=0.05)
