"""The mechanics and optics of the built-in galaxies against closed forms and independent integrators."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import k1

from galshift.simulate._camera import random_rotation
from galshift.simulate._orbit import (
    DRAG,
    DRAG_RANGE,
    SOFTENING,
    Encounter,
    circular_speed,
    encounter,
    follow,
    parabola,
)
from galshift.simulate.elliptical import projected_ellipse
from galshift.simulate.lens import Lens, distance_ratio, sie_deflection


def kepler(_, state, mu, softening2=0.0, drag=0.0):
    """Relative motion in the plane, written apart from the code under test."""
    position, velocity = state[:2], state[2:]
    distance2 = position @ position
    pull = -mu * position / (distance2 + softening2) ** 1.5
    return [*velocity, *(pull - drag * np.exp(-distance2 / DRAG_RANGE**2) * velocity)]


@pytest.mark.parametrize(("pericentre", "mu"), [(0.6, 1.4), (1.2, 2.0)])
def test_barker_agrees_with_a_numerical_two_body_orbit(pericentre, mu):
    start = np.concatenate(parabola(-3.0, pericentre, mu))
    path = solve_ivp(
        kepler,
        (-3.0, 2.5),
        start,
        args=(mu,),
        rtol=1e-11,
        atol=1e-12,
        t_eval=[-1.0, 0.0, 2.5],
        method="DOP853",
    )
    for time, state in zip(path.t, path.y.T):
        np.testing.assert_allclose(np.concatenate(parabola(time, pericentre, mu)), state, atol=1e-8)
    position, velocity = parabola(0.0, pericentre, mu)
    np.testing.assert_allclose(position, [pericentre, 0], atol=1e-12)
    assert velocity @ velocity / 2 - mu / pericentre == pytest.approx(0, abs=1e-12)  # parabolic: no energy


@pytest.mark.parametrize("drag", [0.0, DRAG])
def test_softened_decaying_orbit_agrees_with_a_numerical_one(drag):
    ratio, mu = 0.6, 1.6
    orbit = encounter(ratio, 0.8, before=2.5, after=3.0, steps=400, drag=drag)
    start = np.concatenate(parabola(-2.5, 0.8, mu))
    path = solve_ivp(kepler, (0, 5.5), start, args=(mu, 2 * SOFTENING**2, drag), rtol=1e-10, atol=1e-11)
    expected = path.y[:2, -1]
    np.testing.assert_allclose((orbit.end[1] - orbit.end[0])[:2], expected, atol=0.01)
    np.testing.assert_allclose(orbit.end[0] + ratio * orbit.end[1], 0, atol=1e-12)  # barycentre at rest


def test_time_since_pericentre_is_that_of_the_closest_approach():
    orbit = encounter(1.0, 1.0, before=2.5, after=2.0, steps=900)
    distance = np.linalg.norm(orbit.centres[:, 1] - orbit.centres[:, 0], axis=1)
    first = np.argmin(distance)
    assert orbit.pericentre == pytest.approx(distance[first])
    assert orbit.since_pericentre == pytest.approx((900 - first) * orbit.dt, abs=orbit.dt)


def static(steps, dt):
    """One galaxy of mass 1 at rest and a second without mass."""
    nowhere = np.zeros((steps, 2, 3))
    return Encounter(0.0, dt, np.zeros((2, 6)), nowhere, nowhere[0], 0.0, 0.0)


def test_leapfrog_conserves_energy_and_angular_momentum_without_drag():
    rng = np.random.default_rng(3)
    position = rng.normal(0, 0.5, (3, 500)).astype(np.float32)
    velocity = rng.normal(0, 0.4, (3, 500)).astype(np.float32)

    def energy():
        distance2 = np.sum(position.astype(float) ** 2, axis=0)
        return np.sum(velocity.astype(float) ** 2, axis=0) / 2 - 1 / np.sqrt(distance2 + SOFTENING**2)

    before, spin = energy(), np.cross(position.T, velocity.T)
    follow(position, velocity, static(400, 1 / 36))
    np.testing.assert_allclose(energy(), before, atol=0.05)
    assert abs(np.mean(energy() - before)) < 2e-3
    np.testing.assert_allclose(np.cross(position.T, velocity.T), spin, atol=2e-4)


def test_circular_orbits_stay_circular():
    radius = np.linspace(0.1, 0.75, 50)
    position = np.stack([radius, 0 * radius, 0 * radius]).astype(np.float32)
    velocity = np.stack([0 * radius, circular_speed(radius, 1.0), 0 * radius]).astype(np.float32)
    follow(position, velocity, static(300, 1 / 36))
    np.testing.assert_allclose(np.linalg.norm(position, axis=0), radius, rtol=0.01)


def test_test_particles_agree_with_an_independent_integrator():
    ratio = 0.7
    orbit = encounter(ratio, 1.0, before=2.5, after=1.5, steps=1200)
    rng = np.random.default_rng(0)
    start = np.concatenate(
        [orbit.start[0, :3] + rng.normal(0, 0.3, 3), orbit.start[0, 3:] + rng.normal(0, 0.6, 3)]
    )
    begin = np.concatenate(parabola(-2.5, 1.0, 1 + ratio))

    def motion(time, state):
        relative = kepler(time, state[:4], 1 + ratio, 2 * SOFTENING**2, DRAG)
        first = np.array([*state[:2], 0]) * -ratio / (1 + ratio)
        second = np.array([*state[:2], 0]) / (1 + ratio)
        pull = np.zeros(3)
        for centre, mass in ((first, 1.0), (second, ratio)):
            offset = state[4:7] - centre
            pull -= mass * offset / (offset @ offset + SOFTENING**2) ** 1.5
        return [*relative, *state[7:], *pull]

    path = solve_ivp(motion, (0, 4.0), [*begin, *start], rtol=1e-9, atol=1e-10)
    position, velocity = (start[i : i + 3, None].astype(np.float32) for i in (0, 3))
    follow(position, velocity, orbit)
    np.testing.assert_allclose(position[:, 0], path.y[4:7, -1], atol=0.02)


def test_isothermal_ellipsoid_has_the_convergence_and_einstein_radius_it_should():
    einstein, q, step = 1.7, 0.6, 1e-4
    grid = np.linspace(-3, 3, 401) + 0.003
    x, y = np.meshgrid(grid, grid)

    def derivative(component, dx, dy):
        ahead = sie_deflection(x + dx, y + dy, einstein, q)[component]
        return (ahead - sie_deflection(x - dx, y - dy, einstein, q)[component]) / (2 * step)

    xx, yy = derivative(0, step, 0), derivative(1, 0, step)
    xy, yx = derivative(0, 0, step), derivative(1, step, 0)
    convergence = einstein * np.sqrt(q) / (2 * np.sqrt(q**2 * x**2 + y**2))
    np.testing.assert_allclose((xx + yy) / 2, convergence, rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(xy, yx, rtol=2e-3, atol=1e-3)
    inside = ((1 - xx) * (1 - yy) - xy * yx < 0).sum() * (grid[1] - grid[0]) ** 2
    assert inside == pytest.approx(np.pi * einstein**2, rel=0.01)


def test_round_lens_bends_by_its_einstein_radius_everywhere():
    x, y = np.array([0.3, 2.0, -1.0]), np.array([0.0, 1.5, 4.0])
    bend = np.hypot(*sie_deflection(x, y, 1.3, 1.0))
    np.testing.assert_allclose(bend, 1.3, rtol=1e-3)


def test_einstein_radius_of_a_dispersion():
    from astropy.cosmology import Planck18

    source = Planck18.angular_diameter_distance(1.0).value
    lens = Planck18.angular_diameter_distance(0.12).value
    ratio = (source - lens * 1.12 / 2.0) / source  # flat space
    assert distance_ratio(0.12, 1.0) == pytest.approx(ratio, rel=1e-6)
    galaxy = Lens(np.random.default_rng(0))
    galaxy.dispersion, galaxy.behind = 300.0, 0.88
    # 4 pi (300 km/s / c)**2 is 2.596 arcsec.
    assert galaxy.einstein_radius(0.12) == pytest.approx(2.596 * ratio, rel=2e-3)


def test_projected_ellipsoid_has_the_extent_of_the_solid():
    rng = np.random.default_rng(1)
    axes, rotation = (1.0, 0.8, 0.5), random_rotation(rng)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    major, minor, angle = projected_ellipse(axes, rotation)
    points = rng.normal(size=(3, 400_000))
    points = np.array(axes)[:, None] * points / np.linalg.norm(points, axis=0)
    seen = (rotation @ points)[:2]
    along = seen[0] * np.cos(angle) + seen[1] * np.sin(angle)
    across = seen[1] * np.cos(angle) - seen[0] * np.sin(angle)
    assert along.max() == pytest.approx(major, rel=2e-3)
    assert across.max() == pytest.approx(minor, rel=2e-3)


def test_edge_on_disc_without_dust_has_the_light_of_van_der_kruit_and_searle():
    from galshift.simulate.edge_on import EdgeOn

    disc = EdgeOn(np.random.default_rng(0))
    disc.dust, disc.bulge_share = 0.0, 0.0
    radius = np.linspace(0.3, 3, 20, dtype=np.float32)
    height = np.full_like(radius, 0.5 * disc.height)
    stars, _ = disc._rays(radius, height, np.pi / 2, np.ones(1, dtype=np.float32))
    expected = radius * k1(radius) / (2 * np.pi * disc.height) / np.cosh(0.5) ** 2
    np.testing.assert_allclose(stars[0, 0], expected, rtol=0.02)
