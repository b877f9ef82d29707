"""Run the command line: ``galshift`` and ``python -m galshift``."""

from __future__ import annotations

import sys

from galshift.console import muted
from galshift.errors import ConfigError, GalshiftError


def main() -> None:
    """Run one command and leave with its exit code; see :mod:`galshift.errors` for the codes."""
    from galshift.cli._app import app

    try:
        app(prog_name="galshift")
    except GalshiftError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        import traceback

        traceback.print_exc()
        print(
            "galshift: this is a bug in galshift, not in your data; please report the lines above",
            file=sys.stderr,
        )
        sys.exit(1)


def _tell(error: GalshiftError) -> None:
    """Print an error of the user's as one sentence, after every problem of a config on its own line."""
    if muted():
        return
    problems = error.problems if isinstance(error, ConfigError) else ()
    for problem in problems:
        print(problem, file=sys.stderr)
    count = f" ({len(problems)} problem{'s' if len(problems) != 1 else ''})" if problems else ""
    print(f"galshift: {GalshiftError.__str__(error)}{count}", file=sys.stderr)


if __name__ == "__main__":
    main()
