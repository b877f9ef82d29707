"""The recipe that makes some finished runs: a step for each, and what one reads of another as a reference."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galshift.data.card import PATHS, is_card, resolve
from galshift.data.paths import is_there, split_name, split_pair
from galshift.errors import DataError
from galshift.provenance import atomic_path, remove_dead_parts
from galshift.recipes.changes import changes
from galshift.recipes.inputs import entries, lookup
from galshift.recipes.loader import load_text
from galshift.recipes.made import Made, find_made
from galshift.recipes.plan import make_plan
from galshift.recipes.prepare import InvalidConfig
from galshift.recipes.read import recipe_of
from galshift.recipes.schema import DATA
from galshift.recipes.shortest import fewest_values, recipe_text
from galshift.verbs import STEPS

_ROLE = re.compile(r"^[A-Za-z0-9_.-]+$")
_MOST_NAME = 60


@dataclass
class Written:
    """A recipe as text, and what a reader should know of it.

    Attributes
    ----------
    name : str
    text : str
    steps : list of str
    notes : list of str
        Sentences: which step makes another result than its run, and what is read but not made.
    """

    name: str
    text: str
    steps: list[str]
    notes: list[str] = field(default_factory=list)


def write_recipe(runs: Sequence[str], out: Path | None = None) -> Written:
    """Return the recipe that makes `runs`, and write it to `out` where that is given.

    Parameters
    ----------
    runs : sequence of str
        Run directories, and products that have their manifest beside them.
    out : Path, optional
        The recipe's file, from whose folder its paths start; default the working directory.

    Raises
    ------
    DataError
        When one is no finished run, what it read is not to be found, or a file stands at `out`.
    """
    base = Path() if out is None else out.parent
    made = list({str(one.manifest["fingerprint"]): one for one in map(find_made, runs)}.values())
    writer = _Writer(made, base)
    name = _word(out.stem if out is not None else "study", "study")
    head: dict[str, Any] = {"name": name, "seed": writer.seed}
    steps = {step: writer.values(one) for step, one in writer.ordered()}
    if writer.data:
        head[DATA] = writer.data
    remark = ["The recipe that makes " + ", ".join(str(one.place) for one in made) + ".", *writer.notes]
    written = Written(name, recipe_text(head, steps, remark), list(steps), writer.notes)
    base.mkdir(parents=True, exist_ok=True)  # paths lead through it
    written.notes += _unlike(written.text, base, dict(writer.ordered()), writer.by_content)
    if out is not None:
        _publish(out, written.text)
    return written


class _Writer:
    """Names the steps and the data, and writes the values of each step."""

    def __init__(self, made: Sequence[Made], base: Path) -> None:
        self.base = base
        self.data: dict[str, Any] = {}
        self.notes: list[str] = []
        self.by_content: set[str] = set()  # steps that read as a reference what their runs read as a file
        self._places: dict[str, str] = {}  # of data sets, to the names of the data block
        self._made = {str(one.manifest["fingerprint"]): one for one in made}
        self._names: dict[str, str] = {}
        for fingerprint, one in self._made.items():
            stem = re.sub(r"-[0-9a-f]{8}$", "", one.place.stem if one.place.suffix else one.place.name)
            self._names[fingerprint] = _free(_word(stem, one.kind), self._names.values())
        seeds = [one.config["seed"] for one in made if isinstance(one.config.get("seed"), int)]
        self.seed = max(seeds, key=seeds.count) if seeds else 42

    def ordered(self) -> list[tuple[str, Made]]:
        """Return (step, run), each after those it reads."""
        done: dict[str, Made] = {}

        def add(fingerprint: str) -> None:
            if fingerprint not in done and fingerprint in self._made:
                one = self._made[fingerprint]
                for role in {**one.manifest.get("upstream", {}), **one.manifest.get("inputs", {})}:
                    add(self._source(one, role)[0])
                done[fingerprint] = self._made[fingerprint]

        for fingerprint in self._made:
            add(fingerprint)
        return [(self._names[fingerprint], one) for fingerprint, one in done.items()]

    def values(self, one: Made) -> dict[str, Any]:
        """Return what the step says: its verb, what it reads, and what is not at its default."""
        step = STEPS.get(one.kind)()
        try:
            values = fewest_values(step, one.config)
        except InvalidConfig as error:
            raise DataError(
                f"this run is of a version of galshift that had other options of {one.kind}",
                where=one.place,
                hint=error.problems[0],
            ) from error
        for name in step.inputs:
            bare = name.rstrip("?")
            given = {
                role: text
                for role, text in entries(bare, lookup(values, bare))
                if not name.endswith("?") or role in one.manifest.get("input_paths", {})
            }
            if given:
                _put(values, bare, self._referred(one, lookup(values, bare), given, data="?" not in name))
        values.pop("seed", None)
        if one.config.get("seed", self.seed) != self.seed:
            values["seed"] = one.config["seed"]
        reads = {name.rstrip("?").split(".")[0] for name in step.inputs if "." not in name}
        first = {key: value for key, value in values.items() if key in reads}
        return {"uses": one.kind, **first, **values}

    def _referred(self, one: Made, value: Any, given: dict[str, str], *, data: bool) -> Any:
        """Return a config value that names paths with each as the recipe names it."""
        named = {role: self._named(one, role, text, data=data) for role, text in given.items()}
        if isinstance(value, dict):
            return {key: next(iter(_of(named, f".{key}")), item) for key, item in value.items()}
        if isinstance(value, list):
            labels = [split_name(str(item))[0] for item in value]
            return [
                path if label is None else f"{label}={path}"
                for label, path in zip(labels, named.values(), strict=True)
            ]
        return next(iter(named.values()))

    def _named(self, one: Made, role: str, text: str, *, data: bool) -> str:
        fingerprint, output, by_content = self._source(one, role)
        other = self._made.get(fingerprint)
        if other is not None and (not output or _ROLE.match(output)):
            if by_content:
                self.by_content.add(self._names_of(one))
            return f"${{{self._names[fingerprint]}{'.' if output else ''}{output}}}"
        found = _found(one, text, role)
        if fingerprint and not is_card(found):
            self.notes.append(
                f"{text} is read by '{self._names_of(one)}', and made by no step of this recipe"
            )
            return self._seen(found)
        return f"${{{DATA}.{self._data(found)}}}" if data else self._seen(found)

    def _source(self, one: Made, role: str) -> tuple[str, str, bool]:
        """Return the fingerprint and the output of what was read as `role`; True if its content tells it.

        One file of several that a command made, which has no manifest of its own, is read as any file.
        """
        fingerprint, _, output = str(one.manifest.get("upstream", {}).get(role, "")).partition("/")
        if fingerprint or role not in one.manifest.get("inputs", {}):
            return fingerprint, output, False
        for other, made in self._made.items():
            if made is not one and (found := made.role_of(one.manifest["inputs"][role])) is not None:
                return other, found, True
        return "", "", False

    def _data(self, path: str) -> str:
        """Return the name in the data block for the data set at `path`, which is named now if it is not."""
        place = ":".join(os.path.abspath(part) for part in split_pair(path))
        if place not in self._places:
            stem = Path(split_pair(path)[0]).stem
            name = _free(_word(stem, "data"), self.data)
            self._places[place] = name
            # Results call data that have a card by its name: under another one the card stays a file.
            self.data[name] = self._card(path) if is_card(path) and name == stem else self._seen(path)
        return self._places[place]

    def _card(self, path: str) -> dict[str, Any]:
        whole = resolve(path)
        values = whole.options.model_dump(mode="json", exclude_defaults=True)
        for key in PATHS:
            if isinstance(values.get(key), str) and Path(values[key]).exists():
                values[key] = self._seen(values[key])
        return {"path": self._seen(whole.path), **values}

    def _seen(self, path: str) -> str:
        """Return `path` as seen from the recipe's folder; a slash at its end is kept."""
        return ":".join(
            Path(os.path.relpath(part, self.base)).as_posix() + "/" * part.endswith(os.sep)
            for part in split_pair(path)
        )

    def _names_of(self, one: Made) -> str:
        return self._names[str(one.manifest["fingerprint"])]


def _of(named: dict[str, str], ending: str) -> list[str]:
    return [path for role, path in named.items() if role.endswith(ending)]


def _found(one: Made, text: str, role: str) -> str:
    """Return where the data that a run was given as `text` are: from here, or from a folder around the run.

    The command may have been typed in another folder.
    """
    around = [Path(), *one.folder.resolve().parents]
    for folder in around:
        path = ":".join(os.path.join(folder, part) if folder != Path() else part for part in split_pair(text))
        if all(is_there(part) for part in split_pair(path)):
            return path
    raise DataError(
        f"what '{one.place}' read as {role} is not here",
        where=text,
        hint="go to the folder in which its command was typed, or put the data there again",
    )


def _unlike(text: str, base: Path, made: dict[str, Made], by_content: set[str]) -> list[str]:
    """Return a sentence for each step of the recipe `text` whose result is another than its run's."""
    plan = make_plan(recipe_of(load_text(text, "recipe"), base / "recipe", base))
    lines, other = [], set(by_content)
    for name, planned in plan.items():
        if name in by_content or other & set(planned.needs):
            other.add(name)
            continue
        manifest = made[name].manifest
        recorded = {
            "uses": manifest["kind"],
            "fingerprint": manifest["fingerprint"],
            "versions": {manifest["kind"]: manifest.get("version"), **(manifest.get("versions") or {})},
            "parameters": planned.prepared.parameters,
            "upstream": manifest.get("upstream") or {},
            "inputs": {
                role: {"sha256": sha, "path": planned.prepared.inputs.files.get(role, role)}
                for role, sha in (manifest.get("inputs") or {}).items()
            },
        }
        if differing := changes(planned, recorded, plan):
            lines.append(f"'{name}' makes another result than {made[name].place}: {'; '.join(differing)}")
    if other:
        names = ", ".join(f"'{name}'" for name in plan if name in other)
        lines.append(
            f"{names}: made again under another name, with the same numbers, for a file that was read by its "
            "content is a step here"
        )
    return lines


def _publish(out: Path, text: str) -> None:
    remove_dead_parts(out)
    if out.is_file() and out.read_bytes() == text.encode():
        return
    if out.exists():
        raise DataError("a file of this name is there already", where=out, hint="give another --out")
    with atomic_path(out) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _put(values: dict[str, Any], place: str, value: Any) -> None:
    *parents, last = place.split(".")
    owner = values
    for key in parents:
        owner = owner[key]
    owner[last] = value


def _word(text: str, otherwise: str) -> str:
    """Return `text` as the name of a step or of data: small letters, digits and hyphens."""
    word = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:_MOST_NAME]
    word = word if word[:1].isalpha() else f"{otherwise}-{word}".rstrip("-")
    return f"{word}-1" if word in (DATA, "matrix") else word


def _free(word: str, taken: Any) -> str:
    name, number = word, 1
    while name in taken:
        number += 1
        name = f"{word}-{number}"
    return name
