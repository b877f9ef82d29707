"""Options are written once: name, default, help and bounds on the command line are those of the config."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

import galshift
from galshift.cli._app import load
from galshift.errors import UsageError
from galshift.recipes.inspect import Inspect
from galshift.types import Strict
from galshift.verbs import STEPS, ReadOptions, Step, option, reading
from galshift.verbs._parameters import config_values, parameters

OWN = sorted(STEPS._modules())


class Toy(Step):
    """A verb with an option of every kind."""

    class Config(Strict):
        """Its options."""

        data: str = Field(description="Images.")
        others: list[str] = Field([], description="More of them.")
        read: ReadOptions = ReadOptions()
        n: int = Field(3, ge=1, le=9, description="How many.")
        names: tuple[str, ...] = Field(("a", "b"), description="Words.")
        depths: list[Annotated[float, Field(gt=0)]] = Field([], description="Numbers.")
        how: Literal["fast", "slow"] = Field("fast", description="How.")
        plane: int | str | None = Field(None, description="A number or a name.")
        point: float | dict[str, float] | None = Field(None, description="One, or one a band.")
        rename: dict[str, str] = Field(default_factory=dict, description="Old to new.")
        loud: bool = Field(False, description="Shout.")
        careful: bool = Field(True, description="Look twice.")

    kind = "toy"
    inputs = ("data", "others")
    positionals = ("data",)


def test_a_step_that_declares_nothing_offers_every_plain_field_and_the_reading_options() -> None:
    found = {one.name: one for one in parameters(Toy)}
    assert list(found)[:12] == [*Toy.Config.model_fields][:2] + [*Toy.Config.model_fields][3:] + ["reader"]
    assert {"labels", "unit", "pixel_scale", "votes", "classes_map"} <= set(found)
    kinds = {"n": "integer", "names": "words", "others": "paths", "depths": "words", "how": "text"}
    kinds |= {"plane": "number-or-text", "point": "number-or-pairs", "rename": "pairs", "loud": "flag"}
    assert {name: found[name].kind for name in kinds} == kinds
    assert (found["n"].low, found["n"].high, found["n"].default) == (1, 9, 3)
    assert found["how"].metavar == "fast|slow"
    assert found["data"].positional
    assert found["data"].required


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"names": ["x,y", "z"]}, {"names": ["x", "y", "z"]}),
        ({"names": "x, y"}, {"names": ["x", "y"]}),
        ({"names": ("x", "y")}, {"names": ["x", "y"]}),
        ({"others": ["a,b.h5"]}, {"others": ["a,b.h5"]}),
        ({"others": {"wide": Path("a.h5")}}, {"others": {"wide": Path("a.h5")}}),
        ({"point": "27"}, {"point": 27}),
        ({"point": "g=27.1,r=26.9"}, {"point": {"g": 27.1, "r": 26.9}}),
        (
            {"rename": ["Round=smooth,Disk=features", "*="]},
            {"rename": {"Round": "smooth", "Disk": "features", "*": ""}},
        ),
        (
            {"pixel_scale": 0.2, "votes": "a,b"},
            {"read": {"pixel_scale_arcsec": 0.2, "vote_columns": ["a", "b"]}},
        ),
        ({"careful": False, "n": None}, {"careful": False}),
    ],
)
def test_what_is_typed_becomes_what_the_config_takes(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert config_values(Toy, given) == expected


@pytest.mark.parametrize("text", ["Round", "=smooth", "a=b,a=c"])
def test_pairs_that_are_none_are_refused_with_the_option_named(text: str) -> None:
    with pytest.raises(UsageError, match="each name once") as caught:
        config_values(Toy, {"classes_map": text})
    assert caught.value.where == "--classes-map"


@pytest.mark.parametrize("name", OWN)
def test_help_default_and_bounds_are_the_configs(name: str) -> None:
    step = STEPS.get(name)
    typed = {one.name: one for one in load(name).params}
    python = inspect.signature(getattr(galshift, name.replace("-", "_"))).parameters
    for one in parameters(step):
        assert one.help.strip(), f"{name} --{one.name} has no help: give its field a description"
        assert one.help.split("[")[0][:30] in typed[one.name].help.replace("\\[", "[")
        assert one.name in python
        if one.positional or not one.option.fields:
            continue
        field = step.Config
        for part in one.option.fields[0].split("."):
            info = field.model_fields[part]
            models = [
                kind for kind in getattr(info.annotation, "__args__", (info.annotation,)) if _is_config(kind)
            ]
            field = models[0] if models else field
        if not info.is_required():
            assert python[one.name].default == info.get_default(call_default_factory=True)


def _is_config(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Strict)


@pytest.mark.parametrize("name", OWN)
def test_no_option_of_a_verb_is_written_twice(name: str) -> None:
    names = [one.name for one in parameters(STEPS.get(name))]
    assert len(names) == len(set(names))


def test_every_reading_option_stands_on_every_verb_that_reads() -> None:
    words = {one.name for one in reading("read")}
    for name in OWN:
        step = STEPS.get(name)
        if "read" not in step.Config.model_fields:
            continue
        missing = words - {one.name for one in parameters(step)}
        own = {"psf_pixel_scale"} if name == "make-mocks" else set()  # --psf and --input-psf are its own
        assert missing <= {"cutout_size", "bands"} | own, name


def test_what_is_said_of_pixels_goes_for_both_domains_and_labels_for_the_source() -> None:
    given = {"source": "a", "target": "b", "unit": "nJy", "labels": "zoo.csv", "votes": "smooth,disk"}
    values = config_values(STEPS.get("adapt"), given)
    assert values["read_target"] == {"unit": "nJy"}
    assert values["read"] == {
        "unit": "nJy",
        "labels": "zoo.csv",
        "vote_columns": ["smooth", "disk"],
        "label_kind": "votes",
    }


def test_columns_of_votes_alone_are_classes_where_data_are_packed() -> None:
    pack = STEPS.get("pack")
    assert config_values(pack, {"data": "a", "votes": "x,y"})["read"] == {"vote_columns": ["x", "y"]}
    read = config_values(pack, {"data": "a", "votes": "x,y", "vote_total": "40"})["read"]
    assert read == {"vote_columns": ["x", "y"], "vote_total": "40", "label_kind": "votes"}


def test_an_option_may_have_another_name_than_its_field() -> None:
    one = option("epochs", "training.epochs", metavar="N")
    assert (one.name, one.fields, one.metavar) == ("epochs", ("training.epochs",), "N")
    assert [p.option.fields for p in parameters(Inspect) if p.name == "size"] == [("read.cutout_size",)]
