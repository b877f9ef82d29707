"""The images of the built-in galaxies: light, shapes, colours, truth, reproducibility, and the verb."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.modeling.models import Sersic2D
from scipy.integrate import quad
from scipy.ndimage import gaussian_filter

from galshift.errors import ConfigError, UsageError
from galshift.simulate import KINDS
from galshift.simulate._disc import disc_image, draw_disc
from galshift.simulate._grid import deposit, smooth, smooth_adaptively
from galshift.simulate._light import ab_to_njy, distances, slab
from galshift.simulate._sersic import sersic_image
from galshift.simulate.generate import make_frame, simulate, simulate_all

EVERY = ("merger", "spiral", "elliptical", "edge-on", "barred", "lens")


@pytest.mark.parametrize(("n", "q", "angle"), [(1.0, 0.5, 0.4), (2.5, 1.0, 0.0), (4.0, 0.7, 1.2)])
def test_sersic_agrees_with_astropy(n, q, angle):
    r_eff, centre, fine = 6.0, (0.7, -1.3), 60
    image = sersic_image(48, n=n, r_eff=r_eff, axis_ratio=q, angle=angle, centre=centre)
    step = (np.arange(48 * fine) + 0.5) / fine - 24
    x, y = np.meshgrid(step, step)
    model = Sersic2D(amplitude=1, r_eff=r_eff, n=n, x_0=centre[0], y_0=centre[1], ellip=1 - q, theta=angle)
    expected = model(x, y).reshape(48, fine, 48, fine).mean(axis=(1, 3))
    # Light to infinity of the unit-amplitude model, by quadrature in radius.
    total = quad(lambda r: 2 * np.pi * q * r * Sersic2D(1, r_eff, n)(r, 0), 0, np.inf, limit=300)[0]
    np.testing.assert_allclose(
        image, expected / total, rtol=0.02
    )  # outside the centre pixels are sampled, not integrated
    assert image.sum() == pytest.approx(expected.sum() / total, rel=2e-3)


def test_total_light_is_the_stated_magnitude():
    data = simulate_all(12, classes=("elliptical",), size=128, pixel_scale_arcsec=2.0, bands=("r",))
    alone = np.isnan(np.asarray(data.table["neighbour_light"]))
    assert alone.any()
    expected = np.array([ab_to_njy(magnitude) for magnitude in data.table["r_total"]])
    # A field of 256 arcsec holds all but about a percent of even the widest profile.
    np.testing.assert_allclose(data.images.sum(axis=(1, 2, 3))[alone], expected[alone], rtol=0.025)
    np.testing.assert_allclose(-2.5 * np.log10(expected / 3.631e12), data.table["r_total"], atol=1e-9)


@pytest.mark.parametrize("kind", ["merger", "spiral", "edge-on", "barred"])
def test_light_without_dust_adds_to_one(kind):
    model = KINDS.get(kind)(np.random.default_rng(4))
    if hasattr(model, "disc"):
        quiet = replace(model.disc.arms, patches=np.zeros((4, 1)), ring=0.0)
        model.disc = replace(model.disc, dust=0.0, arms=quiet, young_share=0.2)
    else:
        model.dust = 0.0
    frame = make_frame(160, ("r",), pixel_scale_arcsec=0.5)
    light, _ = model.view(np.random.default_rng(1), frame)
    assert light.sum() == pytest.approx(1, abs=0.05)


def test_redshift_sets_size_and_brightness():
    from astropy.cosmology import Planck18

    modulus, kpc = distances(0.12)
    assert modulus == pytest.approx(Planck18.distmod(0.12).value)
    assert kpc == pytest.approx(1 / Planck18.arcsec_per_kpc_proper(0.12).value)
    near, far = (simulate_all(4, redshift=z, size=16) for z in (0.12, 0.24))
    fainter = Planck18.distmod(0.24).value - Planck18.distmod(0.12).value
    np.testing.assert_allclose(far.table["r_total"] - near.table["r_total"], fainter)
    assert near.table["r_total"].min() > 16.4
    assert near.table["r_total"].max() < 18.6


def test_arms_wind_at_their_pitch_angle():
    rng = np.random.default_rng(7)
    disc = draw_disc(rng, bar=None, number=2, young_share=0.9)
    arms = replace(disc.arms, patches=np.zeros((4, 1)), ring=0.0, sharpness=6.0, start=0.4, pitch=0.35)
    disc = replace(disc, dust=0.0, arms=arms, bulge_share=0.0, clump_share=0.0, scale_kpc=6.0)
    frame = make_frame(192, ("g",), pixel_scale_arcsec=0.2)
    image = disc_image(disc, frame, cos_inclination=1.0, angle=0.0, spin=1.0, centre=np.zeros(2))[0]
    scale = disc.scale_kpc / frame.kpc_per_pixel
    turn = np.linspace(0, np.pi, 2000, endpoint=False)
    crests = []
    for radius in (1.2, 1.5):
        x, y = radius * scale * np.cos(turn), radius * scale * np.sin(turn)
        ring = image[np.round(y + 95.5).astype(int), np.round(x + 95.5).astype(int)]
        crests.append(np.angle(np.sum(ring * np.exp(2j * turn))) / 2)
    expected = -np.log(1.5 / 1.2) / np.tan(0.35)
    difference = (crests[1] - crests[0] - expected + np.pi / 2) % np.pi - np.pi / 2
    assert abs(difference) < 0.06


def test_slab_is_the_mean_over_depth():
    for depth in (0.01, 0.7, 4.0):
        expected = quad(lambda part, depth=depth: np.exp(-depth * part), 0, 1)[0]
        assert slab(np.float32(depth)) == pytest.approx(expected, rel=1e-4)


def test_dust_reddens():
    model = KINDS.get("edge-on")(np.random.default_rng(2))
    frame = make_frame(64, ("g", "i"))
    model.dust = 0.0
    clear, _ = model.view(np.random.default_rng(5), frame)
    model.dust = 1.5
    dusty, _ = model.view(np.random.default_rng(5), frame)
    kept = dusty.sum(axis=(1, 2)) / clear.sum(axis=(1, 2))
    assert kept[0] < kept[1] < 1


def test_deposit_keeps_light_and_position():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-10, 10, (2, 200)).astype(np.float32)
    weights = rng.uniform(size=(2, 200)).astype(np.float32)
    maps = deposit(x, y, weights, 32)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), weights.sum(axis=1), rtol=1e-5)
    columns = np.arange(32) - 15.5
    np.testing.assert_allclose(maps[0].sum(axis=0) @ columns, weights[0] @ x, rtol=1e-4)


def test_smoothing_agrees_with_scipy_and_keeps_light():
    image = np.zeros((48, 48), dtype=np.float32)
    image[20:26, 22:27] = np.random.default_rng(0).uniform(size=(6, 5))
    expected = gaussian_filter(
        image.astype(float), np.hypot(2.5, np.sqrt(1 / 12)), mode="constant", truncate=8
    )
    np.testing.assert_allclose(smooth(image, 2.5), expected, atol=2e-4 * expected.max())
    counts = np.random.default_rng(1).poisson(0.05, (64, 64)).astype(np.float32)
    counts[:24], counts[40:], counts[:, :24], counts[:, 40:] = 0, 0, 0, 0
    even = smooth_adaptively(counts[None], counts, per_kernel=20, sigmas=(0.8, 1.2, 1.8, 2.7))[0]
    assert even.sum() == pytest.approx(counts.sum(), rel=1e-3)
    assert even.max() < 0.5 * counts.max()


def test_image_i_has_the_same_bits_whatever_n_and_chunk():
    few = simulate_all(3, classes=EVERY[:3], views=2, size=24)
    many = simulate_all(12, classes=EVERY[:3], views=2, size=24, chunk=5)
    np.testing.assert_array_equal(many.images[:6], few.images)
    assert many.ids[:6].tolist() == few.ids.tolist()
    one_view = simulate_all(3, classes=EVERY[:3], views=1, size=24, chunk=1)
    np.testing.assert_array_equal(one_view.images, few.images[::2])
    other = simulate_all(3, classes=EVERY[:3], views=2, size=24, seed=43)
    assert not np.isclose(other.images, few.images).all(axis=(1, 2, 3)).any()


def test_labels_groups_and_truth():
    data = simulate_all(12, classes=EVERY, views=2, size=32, bands=("r", "i", "z", "y", "u"))
    assert data.classes == EVERY
    assert data.unit == "nJy"
    assert data.pixel_scale == pytest.approx(0.9)
    assert data.images.dtype == np.float32
    assert np.isfinite(data.images).all()
    assert (data.images >= 0).all()
    assert data.labels[::2].tolist() == [0, 1, 2, 3, 4, 5] * 2
    assert len(set(data.ids)) == 24
    assert len(set(data.groups)) == 12
    assert data.groups[0] == data.groups[1]
    assert not np.array_equal(data.images[0], data.images[1])
    assert not any(name in "".join(data.ids) for name in EVERY)  # no class leaks through a name
    fluxes = data.images.sum(axis=(2, 3), dtype=float)
    for band, flux in zip(data.bands, fluxes.T):
        np.testing.assert_allclose(data.table[f"mag_{band}"], -2.5 * np.log10(flux / 3.631e12), atol=1e-5)
    known = ~np.isnan(np.asarray(data.table["mass_ratio"]))
    assert set(data.labels[known]) == {0}
    radius = np.asarray(data.table["einstein_radius_arcsec"])[data.labels == 5]
    assert ((radius > 1) & (radius < 4)).all()


def test_more_than_half_of_the_mergers_have_tidal_tails():
    tidal = [
        simulate_all(40, classes=("merger",), size=16, seed=seed).table["tidal_fraction"] for seed in (0, 1)
    ]
    assert np.mean(np.concatenate(tidal) > 0.05) > 0.5


def test_tidal_fraction_counts_the_light_beyond_two_disc_radii_of_both_nuclei():
    galaxies = [KINDS.get("merger")(np.random.default_rng(seed)) for seed in range(6)]
    for galaxy in galaxies:
        offsets = galaxy.position.T[:, None] - galaxy.orbit.end[None]
        limits = 1.5 * np.sqrt([1.0, galaxy.mass_ratio])
        far = (np.linalg.norm(offsets, axis=2) > limits).all(axis=1)
        discs = 1 - (galaxy.bulge * galaxy.light).sum()
        assert galaxy.tidal_fraction == pytest.approx(galaxy.weight[far].sum() * discs, rel=1e-4, abs=1e-6)


@pytest.mark.slow
def test_task_is_neither_trivial_nor_impossible_for_a_forest():
    pytest.importorskip("photutils")
    from tests.benchmarks.simulate import DEPTHS, forest_accuracy

    for fwhm, noise in DEPTHS.values():
        assert 0.6 < forest_accuracy(150, 1, fwhm, noise) < 0.95


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"classes": ("merger", "spirl")}, ConfigError, "spirl"),
        ({"classes": ("merger", "merger")}, UsageError, "once"),
        ({"classes": ()}, UsageError, "classes"),
        ({"bands": ("g", "K")}, UsageError, "'K'"),
        ({"bands": ()}, UsageError, "band"),
        ({"size": 8}, UsageError, "16"),
        ({"redshift": 0.0}, UsageError, "redshift"),
        ({"pixel_scale_arcsec": -1.0}, UsageError, "pixel scale"),
        ({"views": 0}, UsageError, "views"),
    ],
)
def test_bad_arguments_are_named(options, error, word):
    with pytest.raises(error, match=word):
        simulate(3, **options)


def test_verb_writes_a_file_that_opens(tmp_path):
    from galshift.data.open import open_dataset
    from galshift.recipes.execute import execute

    out = tmp_path / "galaxies.h5"
    values = {"n": 3, "views": 2, "size": 24, "bands": ["g", "r"]}
    done = execute("simulate", values, out=out)
    assert done.results["n_images"] == 6
    assert done.results["classes"] == {"merger": 1, "spiral": 1, "elliptical": 1}
    dataset = open_dataset(out)
    expected = simulate_all(3, views=2, size=24, bands=("g", "r"))
    np.testing.assert_array_equal(dataset.read(np.arange(6)).images, expected.images)
    assert dataset.info.groups.tolist() == expected.groups.tolist()
    assert execute("simulate", values, out=out).skipped
    with pytest.raises(ConfigError):
        execute("simulate", values | {"n": 4}, out=out)
    with pytest.raises(ConfigError):
        execute("simulate", values | {"classes": ["dwarf"]}, out=tmp_path / "other.h5")
    assert not (tmp_path / "other.h5").exists()
