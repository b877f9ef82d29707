"""Run the command line: ``galshift`` and ``python -m galshift``."""

from __future__ import annotations

import gc
import logging
import os
import sys

from galshift.console import muted
from galshift.errors import ConfigError, GalshiftError
from galshift.machine import machine_fault
from galshift.plain import plain


def main() -> None:
    """Run one command and leave with its exit code; see :mod:`galshift.errors` for the codes."""
    # numpy's matrices here are small: its threads would wait for one another, ten times slower where fewer
    # cores are granted than counted, and could change the last bits.  torch has threads of its own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # It warns where it can keep no font cache in HOME, which changes nothing.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from galshift.cli._app import app

    try:
        try:
            app(prog_name="galshift")
        finally:
            # Here, not when the interpreter ends, a full or closed output can still be told.
            sys.stdout.flush()
            # The interpreter would go through all that torch has made once more before it ends: 0.3 s.
            gc.freeze()
    except GalshiftError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _tell(GalshiftError("stopped"))
        sys.exit(130)
    except SystemExit as end:
        if end.code == 130:  # typer's, of an interrupt
            _tell(GalshiftError("stopped"))
        raise
    except Exception as error:
        fault = machine_fault(error)
        if fault is not None:
            _tell(fault)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to be written has nowhere to go
            sys.exit(fault.exit_code)
        import traceback

        print(plain(traceback.format_exc()), file=sys.stderr, end="")
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
        print(plain(problem), file=sys.stderr)
    count = f" ({len(problems)} problem{'s' if len(problems) != 1 else ''})" if problems else ""
    print(f"galshift: {plain(GalshiftError.__str__(error))}{count}", file=sys.stderr)


if __name__ == "__main__":
    main()
