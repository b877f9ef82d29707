"""Survey presets: one YAML file each, every number with its unit, its source and whether it was verified.

>>> from galshift import surveys
>>> survey = surveys.load("lsst-y10")
>>> survey.bands["r"].depth.value
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from galshift.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from galshift.surveys.schema import Survey

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the presets that come with galshift, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def summary(name: str) -> str:
    """Return the one-line summary of a preset without validating it."""
    for line in (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
        if line.startswith("summary:"):
            return line.removeprefix("summary:").strip().strip("\"'")
    return ""


def load(name: str | Path) -> Survey:
    """Return the preset called `name`, or the one in the user's own YAML file `name`.

    Raises
    ------
    ConfigError
        When there is no such preset or file, or when it states something impossible (all problems at once).
    """
    text = str(name)
    own = Path(text)
    path = own if text.endswith((".yaml", ".yml")) else _FOLDER / f"{text}.yaml"
    if not path.is_file():
        if path is own:
            raise ConfigError("there is no such survey file", where=path)
        raise ConfigError(
            f"unknown survey '{text}'", hint=did_you_mean(text, names()) + ", or a YAML file of yours"
        )
    return _parse(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _parse(path: Path, changed: int) -> Survey:
    """Read a preset; `changed`, the file's time, makes an edited file a new one."""
    import yaml
    from pydantic import ValidationError

    from galshift.surveys.schema import Survey

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"the survey file is not valid YAML: {error}", where=path) from None
    try:
        return Survey.model_validate(values)
    except ValidationError as error:
        problems = [f"{'.'.join(str(p) for p in e['loc']) or 'survey'}: {e['msg']}" for e in error.errors()]
        raise ConfigError(
            f"the survey preset is invalid: {'; '.join(problems)}",
            where=path,
            hint="compare with a preset that comes with galshift",
            problems=problems,
        ) from None
