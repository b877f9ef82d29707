"""Which part each extension of a FITS file plays, by the names that archives give them.

One table serves extensions and files.  What it does not know is never an image by silence: the user says what
it is with ``--hdu`` or ``--role NAME=ROLE``.

Sources: HST (ACS, WFC3 and DrizzlePac data handbooks), JWST and Roman (jwst-pipeline "science products"),
Euclid (MER data product description, Q1), HSC and LSST (pipelines_lsst_io afw), Legacy Surveys (DR9 and DR10
"files"), DES (DR2 coadd images; NOIRLab community pipeline for oo* and op* files), Pan-STARRS (PS1 image
products), KiDS (DR4 OmegaCAM coadds), ESO (phase 3 MEF), SDSS (frame), WebbPSF, SKIRT.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from galshift.errors import DataError, UsageError, did_you_mean


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: What a user may call an extension.
SAID = ("image", "error", "variance", "weight", "mask", "psf", "ignore")

# `image` is what is looked at; `error` the noise's sigma; `weight` an inverse variance; `model` what somebody
# fitted or subtracted, which is no observation.
TABLE: dict[str, tuple[str, ...]] = {
    "image": _words(
        "sci science image images img coadd stack drz drc data flux intensity signal cutout bgsub bkgsub "
        "skysub calexp ooi opi"
    ),
    "error": _words(
        "err errs error errors rms rmsmap errmap sigma sigmamap sig unc uncert uncertainty stddev std stdev"
    ),
    "variance": _words(
        "var vars variance varmap variancemap stat varpoisson varrnoise varflat varread varsky"
    ),
    "weight": _words(
        "wht weight weights weightmap wgt wht wtmap ivar ivarmap invvar invvariance inversevariance oow "
        "opw weighting"
    ),
    "mask": _words(
        "mask masks msk dq dqmask dqarr bpm badpix badpixel badpixels badpixelmask maskbits allmask flag "
        "flags flagmap flg quality qual ood opd maskmap"
    ),
    "psf": _words("psf psfs prf epsf psfmodel psfimage gridpsf oversamp detsamp overdist detdist"),
    "model": _words(
        "model models mod residual residuals resid res chi chi2 bkg bkgs background bgmod bg sky skymodel "
        "blobmodel fit"
    ),
    "ignore": _words(
        "con ctx context samp time exp expmap exptime exposure exposuremap expwt num nexp nexpmap nobs "
        "nim ncombine cov coverage area areamap seg segm segmap segmentation detmap d2imarr wcsdvarr "
        "wcscorr hdrlet hdrtab asdf adf wave wavelength apcor gain flat depth galdepth psfdepth psfsize "
        "psffwhm nea anymask wisemask brightblob blobmap ebv catalog regions"
    ),
}
_ROLE_OF = {word: role for role, words in TABLE.items() for word in words}

# Words in the names of files: fewer, for file names are the user's own prose ("model_17", "sky_patch").
_FILE_WORDS: dict[str, tuple[str, ...]] = {
    "image": _words("sci image images img coadd stack drz drc ooi opi bgsub"),
    "error": _words("err error rms sigma unc uncert"),
    "variance": _words("var variance"),
    "weight": _words("ivar invvar weight wht wgt oow opw"),
    "mask": _words("mask msk dq bpm maskbits flag flags flg badpix ood opd"),
    "psf": _words("psf psfs"),
    "ignore": _words("con ctx nexp area bgmod expwt d2imarr wcsdvarr wcscorr hdrlet"),
}
_FILE_ROLE_OF = {word: role for role, words in _FILE_WORDS.items() for word in words}

# A word of these decides over another in the same name: PSF_ERR is no image, MASK_WHT no weight.
_RANK = ("psf", "mask", "ignore", "model")
_NOISE = ("variance", "weight", "error")

# ESO science data products standard, 5.3: what HDUCLAS2 and HDUCLAS3 of an image extension say.
_CLASSES = {
    "DATA": "image",
    "ERROR": "error",
    "RMSE": "error",
    "MSE": "variance",
    "INVMSE": "weight",
    "QUALITY": "mask",
}

_BAND = re.compile(
    r"(?:[ugrizybvjhk]|ks|[rio]c?|fuv|nuv|vis|w[1-4]|f\d{3,4}(?:w2?|m|n|lp|x|wc)|ch[1-4]|halpha)",
    re.IGNORECASE,
)
# Words that say which camera a filter belongs to (SUBARU_HSC.G, NIR-Y, WFC3_IR_F160W).
_CAMERAS = frozenset(
    _words(
        "subaru hsc cfht cfhtls megacam megaprime unions sdss des decam decals lsst lsstcam hst acs wfc "
        "wfc3 uvis ir hrc wfpc2 nicmos jwst nircam niriss miri euclid nir nisp vis ps1 panstarrs gpc gpc1 "
        "gpc2 galex wise unwise 2mass twomass vista vircam viking ukidss wfcam kids vst omegacam csst "
        "roman wfi johnson bessell cousins generic spitzer irac legacy bass mzls 90prime swift uvot "
        "skymapper splus jplus jpas ultravista skirt broadband band filter"
    )
)
# Cameras whose filters are written in lower case; FITS writes EXTNAME in capitals.
_LOWER = frozenset(
    _words(
        "subaru hsc cfht cfhtls megacam megaprime unions sdss des decam decals lsst lsstcam ps1 panstarrs "
        "gpc gpc1 gpc2 kids vst omegacam legacy bass mzls 90prime skymapper csst"
    )
)


@lru_cache(maxsize=4096)
def is_band(name: str) -> bool:
    """Return whether `name` is how astronomers write a passband (g, Ks, F814W, NUV, ...)."""
    return _BAND.fullmatch(name.strip()) is not None


@lru_cache(maxsize=4096)
def role_of(name: str) -> str | None:
    """Return the role (a key of TABLE) that an extension's name stands for; None where it is not known."""
    if not is_name(name):
        return None
    squeezed = re.sub(r"[^a-z0-9]", "", name.lower())
    whole = _known(squeezed)
    if whole is not None:
        return whole
    found = {role for word in words_of(name) if (role := _known(word)) is not None}
    for role in _RANK:
        if role in found:
            return role
    noise = found & set(_NOISE)
    if len(noise) == 1:
        return noise.pop()
    return "image" if found == {"image"} else None


def header_role(header: Any) -> str | None:
    """Return the role that HDUCLAS2 and HDUCLAS3 (ESO) or IMAGETYP (Legacy Surveys) state, or None."""
    words = [str(header.get(key) or "").strip().upper() for key in ("HDUCLAS3", "HDUCLAS2")]
    found = next((_CLASSES[word] for word in words if word in _CLASSES), None)
    if found is None and _known(str(header.get("IMAGETYP") or "").strip().lower()) in (
        *_NOISE,
        "mask",
        "psf",
    ):
        found = _known(str(header["IMAGETYP"]).strip().lower())
    return found


def file_role_of(word: str) -> str | None:
    """Return the role that one word of a file's name stands for, or None."""
    return _FILE_ROLE_OF.get(word.strip().lower())


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case (``SUBARU_HSC.G`` has three)."""
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def is_name(name: str) -> bool:
    """Return whether a name was given by somebody, not by the format (astropy's for tile compression)."""
    return name.strip().upper() not in ("", "PRIMARY", "COMPRESSED_IMAGE")


def role_words(name: str) -> tuple[str, ...]:
    """Return the words of a name that stand for a role, without numbers."""
    return tuple(word.rstrip("0123456789") for word in words_of(name) if _known(word) is not None)


def rest_of(name: str) -> str:
    """Return what a name says besides its role: a band, a number, an object."""
    return " ".join(word for word in words_of(name) if _known(word) is None)


def band_in(name: str) -> tuple[str, str] | None:
    """Return (band, camera) where a name is a filter, with or without words for its camera, else None."""
    if is_band(name):
        return name.strip(), ""
    parts = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word and _known(word.lower()) is None]
    if not parts or not is_band(parts[-1]) or any(word.lower() not in _CAMERAS for word in parts[:-1]):
        return None
    band, cameras = parts[-1], [word.lower() for word in parts[:-1]]
    if len(band) == 1 and _LOWER.intersection(cameras):
        band = band.lower()
    return band, cameras[-1] if cameras else ""


def parse_roles(words: Sequence[str] | str | None) -> dict[str, str]:
    """Return ``WHT=ignore`` (several with commas, or as a list) as a dict.

    Raises
    ------
    UsageError
        When a part is not NAME=ROLE with a role of :data:`SAID`.
    """
    given = [words] if isinstance(words, str) else list(words or ())
    roles: dict[str, str] = {}
    for part in (piece.strip() for text in given for piece in text.split(",")):
        if not part:
            continue
        name, equals, role = (piece.strip() for piece in part.rpartition("="))
        if not equals or not name or role not in SAID:
            raise UsageError(
                f"'{part}' is not of the form NAME=ROLE",
                where="--role",
                hint=f"such as --role WHT=ignore or --role '*=image'; roles: {', '.join(SAID)}",
            )
        roles[name] = role
    return roles


def assign(
    planes: Sequence[Mapping[str, Any]], roles: Mapping[str, str], hdu: int | str | None
) -> list[dict[str, Any]]:
    """Return copies of a file's planes with the roles that the user gave them.

    Parameters
    ----------
    planes : sequence of dict
        From :func:`galshift.data.fits_file.describe`.
    roles : mapping
        Role by extension name (capitals do not matter; ``VAR_*`` is a pattern) or HDU number; ``*`` is for
        those that neither the user nor the table knows.
    hdu : int or str or None
        The one extension to read as the image, by number or name; all others are left out.
    """
    if hdu is not None:
        return [{**plane, "role": "image", "said": True} for plane in planes if _is(plane, hdu)]
    named = {key: role for key, role in roles.items() if key != "*"}
    found = []
    for plane in planes:
        role = next((role for key, role in named.items() if _is(plane, key)), None)
        if role is None and plane["role"] is None:
            role = roles.get("*")
        found.append(dict(plane) if role is None else {**plane, "role": role, "said": True})
    return found


def assigned(
    described: Sequence[Sequence[Mapping[str, Any]]], roles: Mapping[str, str], hdu: int | str | None
) -> list[list[dict[str, Any]]]:
    """Return :func:`assign` of every file's planes; files that share a description share the result."""
    made: dict[int, list[dict[str, Any]]] = {}
    for planes in described:
        if id(planes) not in made:
            made[id(planes)] = assign(planes, roles, hdu)
    return [made[id(planes)] for planes in described]


def is_file_pattern(key: str) -> bool:
    """Return whether the left side of a role speaks of files (``*_mask.fits=ignore``), not of extensions."""
    return ".fit" in key.casefold() or key.casefold().endswith(".fz")


def said_of_file(name: str, roles: Mapping[str, str]) -> str | None:
    """Return the role that the user gave a file, by its name or a pattern of it."""
    fitting = (key for key in roles if is_file_pattern(key) and fnmatchcase(name.casefold(), key.casefold()))
    return next((roles[key] for key in fitting), None)


def check_roles(
    described: Sequence[Sequence[Mapping[str, Any]]], roles: Mapping[str, str], where: object
) -> None:
    """Refuse a role for an extension that no file has.

    Raises
    ------
    DataError
        With the names that there are.
    """
    every = [plane for planes in described for plane in planes]
    for key in roles:
        if key != "*" and not is_file_pattern(key) and not any(_is(plane, key) for plane in every):
            names = sorted({str(plane["name"]) or str(plane["hdu"]) for plane in every})
            raise DataError(
                f"--role {key}={roles[key]}: there is no extension '{key}'",
                where=where,
                hint=did_you_mean(key, names[:20]),
            )


def _known(word: str) -> str | None:
    """Return the role of one word; a number after it (SCI2) counts for nothing."""
    return _ROLE_OF.get(word) or _ROLE_OF.get(word.rstrip("0123456789"))


def _is(plane: Mapping[str, Any], key: int | str) -> bool:
    if str(key).isdigit() and int(key) == plane["hdu"]:
        return True
    return bool(plane["name"]) and fnmatchcase(str(plane["name"]).casefold(), str(key).casefold())
