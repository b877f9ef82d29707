"""The design's one rule of structure: imports point down, and light commands stay light."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import galshift
from galshift.cli._app import names
from galshift.recipes.find import shipped

ROOT = Path(galshift.__file__).parent
HEAVY = {
    "torch",
    "astropy",
    "scipy",
    "sklearn",
    "numpy",
    "yaml",
    "matplotlib",
    "h5py",
    "photutils",
    "skimage",
}

# Floors from the top; what stands on one floor does not import its neighbours.
FLOORS: list[set[str]] = [
    {"__main__"},
    # The Python functions stand beside the command line: both are made from the verbs' own configs.
    {"api", "cli"},
    {"recipes"},
    {"verbs"},
    {"runs"},
    {"domains"},
    {"training", "evaluation", "audit", "embedding", "simulate", "doubt"},
    {"mocks", "report"},
    {"methods", "selection", "models", "data", "surveys", "settings", "guides"},
    {
        "types",
        "plain",
        "bounds",
        "plain_yaml",
        "registry",
        "presets",
        "errors",
        "locks",
        "machine",
        "user_cache",
        "console",
        "provenance",
        "rundirectory",
        "streams",
        "timing",
        "intervals",
        "processes",
        "crew",
        "cluster",
        "spread",
    },
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# Modules of the ground floor may build on one another, in this order.
GROUND = ["plain", "errors", "bounds", "machine", "user_cache", "types", "streams", "intervals", "processes"]
GROUND += ["provenance", "console", "locks", "registry", "plain_yaml", "presets", "rundirectory"]
GROUND += ["crew", "cluster", "spread"]


def _modules() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if "_recipes" not in path.parts]


def _package(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def _imports(path: Path) -> set[tuple[str, int]]:
    """Return (first part below galshift, line) of every import of galshift in a file, wherever it stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "galshift" else [module]
        else:
            continue
        found |= {(name.split(".")[1], node.lineno) for name in names if name.startswith("galshift.")}
    return found


def test_every_module_has_a_floor() -> None:
    packages = {_package(path) for path in _modules()} - {"__init__"}
    assert packages <= set(FLOOR), f"give a floor to {packages - set(FLOOR)}"


def _breaches() -> list[str]:
    breaches = []
    for path in _modules():
        here = _package(path)
        if here == "__init__":
            continue
        for there, line in _imports(path):
            if there.startswith("__") or there == here:
                continue
            where = f"{path.relative_to(ROOT.parent)}:{line}"
            if here in GROUND and there in GROUND:
                if GROUND.index(there) > GROUND.index(here):
                    breaches.append(f"{where}: {here} imports {there}, which builds on it")
            elif FLOOR[there] < FLOOR[here]:
                breaches.append(f"{where}: {here} imports {there}, which stands above it")
            elif FLOOR[there] == FLOOR[here]:
                breaches.append(f"{where}: {here} imports {there}, which stands beside it")
    return breaches


def test_imports_point_down() -> None:
    assert _breaches() == []


def test_an_upward_import_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "galshift"
    for name in ("data", "models"):
        (package / name).mkdir(parents=True)
    (package / "data" / "x.py").write_text(
        "def f():\n    from galshift.training.loop import fit\n    import galshift.models.build\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", package)
    assert (
        _breaches()
        == [
            "galshift/data/x.py:3: data imports models, which stands beside it",
            "galshift/data/x.py:2: data imports training, which stands above it",
        ]
        or len(_breaches()) == 2
    )


# Whose whole work is one part of another verb's: adapt ends with an evaluation, each rung of ladder is a gap.
USES = {"adapt": {"evaluate"}, "ladder": {"gap"}}


def _arrows() -> dict[str, set[str]]:
    """File to the files that it imports, wherever and for whatever the import stands."""
    files = {}
    for path in _modules():
        parts = ("galshift", *path.relative_to(ROOT).with_suffix("").parts)
        files[".".join(parts).removesuffix(".__init__")] = path
    arrows: dict[str, set[str]] = {}
    for name, path in files.items():
        found = arrows.setdefault(name, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("galshift"):
                wanted = [f"{node.module}.{alias.name}" for alias in node.names]
                found |= {inner if inner in files else node.module for inner in wanted}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
        arrows[name] = (found & set(files)) - {name}
    return arrows


def _circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """The largest sets of files that all reach one another; what needs nothing that is left is left out."""
    graph = {name: set(there) for name, there in arrows.items()}
    while free := [name for name, there in graph.items() if not there]:
        for name in free:
            del graph[name]
        for there in graph.values():
            there -= set(free)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        left = [start]
        while left:
            for there in graph[left.pop()] - seen:
                seen.add(there)
                left.append(there)
        return seen

    reach = {name: reached(name) for name in graph}
    found = [{b for b in reach[a] if a in reach[b]} for a in reach if a in reach[a]]
    return [one for i, one in enumerate(found) if one not in found[:i]]


def test_no_circle_of_files() -> None:
    assert _circles(_arrows()) == []


def test_a_circle_of_files_would_be_found() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a"}}
    assert _circles(arrows) == [{"b", "c"}]


def test_no_verb_imports_another() -> None:
    for name, there in _arrows().items():
        verb = name.split(".")[2:3]
        if not name.startswith("galshift.verbs.") or verb[0].startswith("_"):
            continue
        others = {m.split(".")[2] for m in there if m.startswith("galshift.verbs.")} - set(verb)
        assert {v for v in others if not v.startswith("_")} <= USES.get(verb[0], set()), name


def test_no_room_holds_more_than_a_quarter_of_the_code() -> None:
    lines: dict[str, int] = {}
    for path in _modules():
        lines[_package(path)] = lines.get(_package(path), 0) + len(path.read_text("utf-8").splitlines())
    largest = max(lines, key=lambda room: lines[room])
    assert lines[largest] <= 0.25 * sum(lines.values()), (largest, lines[largest])


README = ROOT.parent / "README.md"


def _tree() -> list[str]:
    """Paths, below the repository, of the README's annotated tree: the words before a line's remark."""
    block = README.read_text(encoding="utf-8").partition("```\ngalshift/\n")[2].partition("```")[0]
    found, above = [], ["galshift"]
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.split(r"\s{2,}", line.strip())[0].split()
        if all(name.endswith(("/", ".py")) for name in names):
            above = [*above[:depth], names[0].rstrip("/")]
            found += ["/".join([*above[:-1], name.rstrip("/")]) for name in names]
    return found


@pytest.mark.skipif(not README.is_file(), reason="the package is not in its checkout")
def test_the_tree_in_the_readme_is_true() -> None:
    tree = _tree()
    assert [path for path in tree if not (ROOT.parent / path).exists()] == []
    rooms = {f"galshift/{path.parent.name}" for path in ROOT.glob("*/__init__.py")}
    folders = {f"galshift/verbs/{path.parent.name}" for path in ROOT.glob("verbs/*/__init__.py")}
    ground = {f"galshift/{name}.py" for name in GROUND}
    assert rooms | folders | ground <= set(tree)


def test_methods_import_neither_models_nor_data() -> None:
    for path in (ROOT / "methods").rglob("*.py"):
        assert not {there for there, _ in _imports(path)} & {"models", "data", "selection", "surveys"}, path


def test_the_command_line_imports_only_light_modules_at_the_top() -> None:
    allowed = {"typer", "galshift", "__future__"} | set(sys.stdlib_module_names)
    for path in (ROOT / "cli").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in allowed, (
                    f"{path.name}:{node.lineno}: {name} is imported at the top"
                )


def _loaded(code: str, **environment: str) -> tuple[str, set[str]]:
    """Run `code` in a fresh interpreter; return its output and the heavy packages it imported."""
    ending = "\nimport sys, json; print('\\n#' + json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code + ending],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120", **environment},
        check=True,
    )
    text, _, modules = done.stdout.rpartition("\n#")
    return text, set(json.loads(modules)) & HEAVY


RUN = """
import sys
sys.argv = ["galshift", *{args!r}]
from galshift.__main__ import main
try:
    main()
except SystemExit:
    pass
"""


def test_the_top_level_help_does_not_import_pydantic_either() -> None:
    # Typer itself imports pydantic, where it is installed, to convert the options of a verb.
    _loaded(RUN.format(args=["--help"]) + "\nassert 'pydantic' not in sys.modules")


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["recipes", "ls"], ["recipes", "--help"]])
def test_light_commands_import_nothing_heavy(args: list[str]) -> None:
    text, heavy = _loaded(RUN.format(args=args))
    assert text.strip() or args == ["recipes", "ls"]
    assert heavy == set()


# Steps that other tests register are not galshift's.
@pytest.mark.parametrize("name", [name for name in names() if not name.startswith("toy-")])
def test_the_help_of_every_verb_imports_nothing_heavy_and_ends_with_examples(name: str) -> None:
    text, heavy = _loaded(RUN.format(args=[name, "--help"]))
    assert heavy == set()
    examples = [line.strip() for line in text.partition("Examples:")[2].splitlines() if line.strip()]
    assert len(examples) >= 2
    assert all(line.startswith("galshift ") for line in examples)


@pytest.mark.parametrize(
    "kind", ["methods", "models", "readers", "selectors", "faults", "surveys", "settings"]
)
def test_lists_of_names_import_nothing_heavy(kind: str) -> None:
    _, heavy = _loaded(RUN.format(args=["list", kind, "--json"]))
    assert heavy == set()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("galshift ", "adapt"),
        ("galshift list m", "methods"),
        ("galshift adapt a b --method m", "mmd"),
        ("galshift adapt a b --model r", "resnet18"),
        pytest.param(
            "galshift run q", "quickstart", marks=pytest.mark.skipif(not shipped(), reason="no recipes")
        ),
    ],
)
def test_shell_completion_knows_names_and_imports_nothing_heavy(words: str, expected: str) -> None:
    count = len(words.split()) - (0 if words.endswith(" ") else 1)
    text, heavy = _loaded(
        RUN.format(args=[]), _GALSHIFT_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(count)
    )
    assert heavy == set()
    assert expected in text.split()


def test_importing_the_package_imports_nothing_heavy() -> None:
    _, heavy = _loaded("import galshift; galshift.adapt")
    assert heavy == set()


def test_verbs_and_their_options_import_nothing_heavy() -> None:
    code = (
        "from galshift.verbs import STEPS\nfor name in STEPS.names(): print(STEPS.get(name).Config.__name__)"
    )
    text, heavy = _loaded(code)
    assert {"AdaptStepConfig", "MakeMocksConfig", "EvaluateConfig"} <= set(text.split())
    assert heavy == set()
