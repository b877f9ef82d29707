"""Survey presets: sourced, possible, and refused where they are not."""

from __future__ import annotations

import pytest
import yaml

from galshift import surveys
from galshift.errors import ConfigError


@pytest.mark.parametrize("name", surveys.names())
def test_preset_is_valid_and_every_number_has_a_source(name):
    survey = surveys.load(name)
    assert survey.name == name
    assert surveys.summary(name) == survey.summary
    for path, number in survey.numbers().items():
        assert number.source in survey.sources, path
    recalled = [n for n in survey.numbers().values() if "recalled" in survey.sources[n.source]]
    assert not any(n.verified for n in recalled)


def test_every_survey_that_papers_pair_is_there():
    wanted = {
        "sdss",
        "sdss-stripe82",
        "decals",
        "des",
        "hsc-wide",
        "kids",
        "cfhtls-wide",
        "cfis",
        "panstarrs",
    }
    wanted |= {
        "lsst-visit",
        "lsst-y1",
        "lsst-y10",
        "lsst-y1-dark",
        "lsst-y10-dark",
        "euclid-vis",
        "euclid-nisp",
    }
    wanted |= {"hst-acs-cosmos", "hst-wfc3-ers", "jwst-nircam", "roman"}
    assert wanted <= set(surveys.names())


def _write(tmp_path, change):
    text = (surveys._FOLDER / "lsst-y1.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    change(values)
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_own_preset_by_path(tmp_path):
    path = _write(tmp_path, lambda v: v.update(name="mine"))
    assert surveys.load(path).name == "mine"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        # lenstronomy's JWST sky of 28.15 to 30.96 is per pixel; a sky in counts is in the thousands.
        (lambda v: v["bands"]["r"]["sky"].update(value=29.5), "per pixel"),
        (lambda v: v["bands"]["r"]["sky"].update(value=1400.0), "per pixel"),
        (lambda v: v["bands"]["r"]["fwhm"].update(unit="pixel"), "arcsec"),
        (lambda v: v["bands"]["r"].pop("read_noise"), "read_noise"),
        (lambda v: v["bands"]["r"]["fwhm"].update(source="nobody"), "nobody"),
        (lambda v: v["psf"].update(kind="moffat"), "beta"),
        (lambda v: v["psf"].update(kind="gaussain"), "gaussian"),
        (lambda v: v.update(pixle_scale=1), "pixle_scale"),
        (lambda v: v["bands"]["r"]["depth"].update(kind="aperture"), "aperture_diameter"),
        (lambda v: v["psf"].update(fwhm_includes_pixel=True), "effective FWHM"),
        (lambda v: v["psf"].update(kind="airy", diameter_m=6.5), "effective FWHM"),
        # A sigma in place of a FWHM, or a space telescope's width on a small mirror.
        (lambda v: v["psf"].update(kind="airy", diameter_m=0.1, fwhm_kind="geometric"), "diffraction limit"),
    ],
)
def test_impossible_presets_are_refused(tmp_path, change, words):
    with pytest.raises(ConfigError, match=words) as caught:
        surveys.load(_write(tmp_path, change))
    assert caught.value.hint


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError) as caught:
        surveys.load("lsst-y01")
    assert "did you mean 'lsst-y1'" in caught.value.hint
