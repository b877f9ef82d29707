"""Two observations of the same galaxies; nested ones share their photons, so that one contains the other."""

from __future__ import annotations

from dataclasses import replace

from galshift.data.cutouts import Cutouts
from galshift.errors import ConfigError
from galshift.mocks.config import ObserveConfig
from galshift.mocks.look import look
from galshift.mocks.noise import level
from galshift.mocks.observe import Observation, develop, expose, observe_in_full
from galshift.surveys.schema import Survey

_SAME = ("fwhm", "zero_point", "sky", "read_noise", "dark", "exposure_time")


def nested(shallow: Survey, deep: Survey) -> bool:
    """Return whether `deep` is more exposures of what `shallow` is: same camera, sky and PSF."""
    if "depth" in (shallow.mode, deep.mode) or shallow.pixel_scale.value != deep.pixel_scale.value:
        return False
    if shallow.psf != deep.psf or set(shallow.bands) != set(deep.bands):
        return False
    for name, band in shallow.bands.items():
        other = deep.bands[name]
        for item in _SAME:
            one, two = getattr(band, item), getattr(other, item)
            if (one and one.value) != (two and two.value):
                return False
        if other.exposures.value <= band.exposures.value:
            return False
    return True


def observe_pair(
    cutouts: Cutouts,
    first: Survey,
    second: Survey,
    *,
    bands: tuple[str, ...] | None = None,
    config: ObserveConfig | None = None,
    seed: int = 42,
    device: str = "cpu",
    shapes: tuple[tuple[int, int] | None, tuple[int, int] | None] = (None, None),
) -> tuple[Observation, Observation]:
    """Observe the same galaxies with two surveys, in the order given.

    Where one survey is more exposures of the other (LSST's tenth year and its first), the deep image is the
    mean of the shallow one and of the further exposures, weighted by exposures n:

        deep = (n1 shallow + (n2 - n1) further) / n2

    so that its noise has n1 / n2 of the variance and correlates with the shallow one by sqrt(n1 / n2).
    The shallow image is the same, to the bit, as when it is made alone.

    Raises
    ------
    ConfigError
        When real sky is asked for in a nested pair: no sky is twice as deep as itself.
    """
    config = config or ObserveConfig()
    if not (nested(first, second) or nested(second, first)):
        return tuple(
            observe_in_full(
                cutouts, survey, bands=bands, config=config, seed=seed, device=device, shape=shape
            )
            for survey, shape in zip((first, second), shapes)
        )
    if config.sky is not None:
        raise ConfigError(
            "a nested pair cannot share real sky", where="sky", hint="make the two surveys one by one"
        )
    shallow, deep = (second, first) if (backwards := nested(second, first)) else (first, second)
    seen = look(cutouts, shallow, bands, config, seed, device=device, shape=shapes[0])
    once = expose(seen, config, seed, device)
    counts = {v.name: (v.exposures, deep.bands[v.name].exposures.value) for v in seen.views}
    further = expose(
        seen,
        config,
        seed,
        device,
        stage=f"noise of {deep.name}",
        fractions={name: (n2 - n1) / n1 for name, (n1, n2) in counts.items()},
    )
    both = [
        (x * (counts[v.name][0] / counts[v.name][1])) + y * (1 - counts[v.name][0] / counts[v.name][1])
        for v, x, y in zip(seen.views, once, further)
    ]
    views = [
        replace(v, noise=level(deep, deep.bands[v.name], v.psf), exposures=counts[v.name][1])
        for v in seen.views
    ]
    deeper = replace(seen, survey=deep, views=views)
    made = develop(seen, once, config, seed), develop(deeper, both, config, seed)
    return made[::-1] if backwards else made
