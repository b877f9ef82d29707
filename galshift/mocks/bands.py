"""Which band of the input becomes which band of the survey: by name, never by guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from galshift.errors import DataError
from galshift.surveys.schema import Survey


def match_bands(
    have: Sequence[str],
    survey: Survey,
    wanted: Sequence[str] | None = None,
    band_map: Mapping[str, str] | None = None,
    where: object = None,
) -> dict[str, int]:
    """Return the index of the input band that serves each survey band, in the order of the result.

    Parameters
    ----------
    have : sequence of str
        The input's bands.
    survey : Survey
    wanted : sequence of str, optional
        The survey bands to make; by default all that the input can serve.
    band_map : mapping of str to str, optional
        Survey band by input band.

    Raises
    ------
    DataError
        When a wanted band is missing, or no band fits.
    """
    band_map = dict(band_map or {})
    for old, new in band_map.items():
        if old not in have:
            raise DataError(
                f"--band-map names input band '{old}', which the input lacks",
                where=where,
                hint=f"it has {_list(have)}",
            )
        if new not in survey.bands:
            raise DataError(
                f"{survey.name} has no band '{new}'", where=where, hint=f"it has {_list(survey.bands)}"
            )
    served = {name: index for index, name in enumerate(_renamed(have, survey, band_map)) if name is not None}
    unknown = [band for band in wanted or () if band not in survey.bands]
    if unknown:
        raise DataError(f"{survey.name} has no band {_list(unknown)}", hint=f"it has {_list(survey.bands)}")
    missing = [band for band in wanted or () if band not in served]
    if missing or not served:
        raise DataError(
            f"the input has bands {_list(have)}; {survey.name} needs {_list(missing or survey.bands)}",
            where=where,
            hint=f"say which stands for which: --band-map {have[0]}={(missing or list(survey.bands))[0]}",
        )
    return {band: served[band] for band in (wanted or served)}


def _renamed(have: Sequence[str], survey: Survey, band_map: Mapping[str, str]) -> list[str | None]:
    """Survey band of each input band: as mapped, else the same name, else the same but for case."""
    taken = set(band_map.values())
    names: list[str | None] = []
    for band in have:
        alike = [b for b in survey.bands if b.lower() == band.lower()]
        if band in band_map:
            names.append(band_map[band])
        elif band in survey.bands:
            names.append(None if band in taken else band)
        else:
            names.append(
                alike[0] if len(alike) == 1 and alike[0] not in taken and alike[0] not in have else None
            )
    return names


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
