"""What stands out in the data of a run: what may be read wrongly, in what data are unlike the training's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from galshift.data.sky_level import Sky
from galshift.data.units import DIMENSIONLESS
from galshift.domains.account import Account
from galshift.doubt.verdict import STRIPED

# Factors beyond which two data sets are said to differ: surveys differ in depth by a few, units by hundreds.
BRIGHTNESS_FACTOR, NOISE_FACTOR, SCALE_FACTOR, RANGE_FACTOR = 10.0, 10.0, 2.0, 20.0
#: Of the noise, by which the level of a sky is said to differ, or what it rises by over an image: the most in
#: ``tests/benchmarks/pairs`` without a sky that was left in is 0.26, the least with one 0.67.
SKY_SIGMAS = 0.5


def stands_out(accounts: Sequence[Account]) -> list[str]:
    """Return what stands out in the data of one training: alike or empty images, a wrong brightness.

    The second and later accounts are compared in brightness with the first; in noise they may differ, as
    surveys do.
    """
    lines = [line for one in accounts[1:] for line in _brightness_lines(one, accounts[:1])]
    for one in accounts:
        if one.all_alike:
            lines.append(f"All sampled images of {one.name} are the same, pixel by pixel.")
        if one.n_empty:
            lines.append(f"{one.n_empty} of the sampled images of {one.name} have not one good pixel.")
    for one in accounts[1:]:
        lines += [*_sky_lines(one, accounts[:1]), *_striped_lines(one, accounts[:1])]
    return lines


def differences(new: Account, known: Sequence[Account]) -> list[str]:
    """Return one sentence for each thing in which `new` is unlike every one of `known`.

    Brightness and sky noise are compared in the network's unit, band by band (the median of the bands'
    ratios); pixel scales as the files have them; values of pictures, which have no unit, by their range.
    """
    return [
        *_brightness_lines(new, known),
        *_noise_lines(new, known),
        *_scale_lines(new, known),
        *_sky_lines(new, known),
        *_striped_lines(new, known),
    ]


def _nearest(ratios: Sequence[float]) -> float:
    """The ratio nearest to one; one where there is none."""
    return min(ratios, key=lambda ratio: abs(np.log(ratio)), default=1.0)


def _brightness_lines(new: Account, known: Sequence[Account]) -> list[str]:
    pictures = new.network_unit == DIMENSIONLESS
    factor = RANGE_FACTOR if pictures else BRIGHTNESS_FACTOR
    ratio = _nearest([_ratio(new.brightness, one.brightness) for one in known])
    if 1 / factor < ratio < factor:
        return []
    what = "range of values" if pictures else "unit or zero point"
    words = ("smaller in value", "larger in value") if pictures else ("fainter", "brighter")
    return [
        f"{new.name} is {_times(ratio)} times {words[ratio > 1]} than {_names(known)}: is its {what} right?"
    ]


def _noise_lines(new: Account, known: Sequence[Account]) -> list[str]:
    ratio = _nearest([_ratio(new.noise, one.noise) for one in known])
    if new.network_unit == DIMENSIONLESS or 1 / NOISE_FACTOR < ratio < NOISE_FACTOR:
        return []
    word = "more" if ratio > 1 else "less"
    return [
        f"{new.name} has {_times(ratio)} times {word} sky noise than {_names(known)}: the network "
        "has seen nothing like it."
    ]


def _scale_lines(new: Account, known: Sequence[Account]) -> list[str]:
    scales = [one.pixel_scale_arcsec for one in known if one.pixel_scale_arcsec]
    if not new.pixel_scale_arcsec or not scales:
        return []
    ratio = _nearest([new.pixel_scale_arcsec / scale for scale in scales])
    if 1 / SCALE_FACTOR < ratio < SCALE_FACTOR:
        return []
    shown = " and ".join(f"{scale:.3g}" for scale in scales)
    return [
        f"The pixels of {new.name} are {new.pixel_scale_arcsec:.3g} arcsec, those of {_names(known)} {shown} "
        "arcsec: it is resampled by a large factor."
    ]


def _sky_lines(new: Account, known: Sequence[Account]) -> list[str]:
    apart = [sky_apart(new, one) for one in known]
    level, slope = (min((one[k] for one in apart), key=abs, default=0.0) for k in (0, 1))
    above, more = "above" if level > 0 else "below", "more" if slope > 0 else "less"
    lies = f"lies {abs(level):.2g} times the noise {above} that of {_names(known)}"
    rises = f"rises by {abs(slope):.2g} times the noise {more} over an image"
    if abs(level) < SKY_SIGMAS and abs(slope) < SKY_SIGMAS:
        return []
    if abs(level) < SKY_SIGMAS:
        told = f"{rises} than that of {_names(known)}"
    else:
        told = lies if abs(slope) < SKY_SIGMAS else f"{lies} and {rises}"
    told = f"The sky of {new.name} {told}"
    if new.sky == "as-is":
        return [f"{told}: training with --set preprocess.sky=plane takes each image's own sky off."]
    return [f"{told}: each image's own {new.sky} is taken off (preprocess.sky)."]


def sky_apart(new: Account, known: Account) -> tuple[float, float]:
    """Return by how much level and slope of the sky of `new` are above those of `known`.

    In the sky noise of the noisier of the two, the median of the bands; zeros where one does not know them.
    """
    if not (new.sky_level and known.sky_level):
        return 0.0, 0.0
    noise = np.maximum(new.noise, known.noise)
    both = ((new.sky_level, known.sky_level), (new.sky_slope, known.sky_slope))
    level, slope = (float(np.median(np.subtract(*pair) / noise)) for pair in both)
    return level, slope


def sky_to_take_off(accounts: Sequence[Account]) -> Sky:
    """Return what brings the skies of all to that of the first: a plane where slopes differ, or a level."""
    apart = [sky_apart(one, accounts[0]) for one in accounts[1:]]
    if any(abs(slope) >= SKY_SIGMAS for _, slope in apart):
        return "plane"
    return "level" if any(abs(level) >= SKY_SIGMAS for level, _ in apart) else "as-is"


def _striped_lines(new: Account, known: Sequence[Account]) -> list[str]:
    if not known or new.striped <= max(one.striped for one in known) + STRIPED:
        return []
    value = None if new.stripe_value is None else f"{new.stripe_value:.9g}"
    told = f"whole rows or columns of {'one value' if value is None else f'the value {value}'}"
    # Data of a pair are declared by their side (--target-blank); a card serves every verb.
    cure = (
        f": if these pixels hold no data, 'galshift inspect DATA --blank {value} --save CARD.yaml' masks them"
    )
    return [
        f"{new.striped:.0%} of the sampled images of {new.name} have {told}, more than of {_names(known)}, "
        f"which fool a network and the verdict on it{'' if value is None else cure}."
    ]


def _times(ratio: float) -> str:
    times = max(ratio, 1 / ratio)
    return f"{times:,.0f}" if times >= 100 else f"{times:.3g}"


def _names(known: Sequence[Account]) -> str:
    return " and ".join(one.name for one in known)


def _ratio(a: Sequence[float], b: Sequence[float]) -> float:
    return float(np.exp(np.median(np.log(np.asarray(a) / np.asarray(b)))))
