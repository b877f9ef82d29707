"""Run one step: skip what is done, resume what was stopped, do the rest, and never leave half a result.

The command line, the Python functions and recipes all pass through :func:`execute`: one set of rules.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from galshift.data.options import ReadOptions
from galshift.data.skipped import taken
from galshift.errors import GalshiftError, Interrupted
from galshift.machine import machine_fault
from galshift.provenance import environment, jsonable
from galshift.recipes.prepare import Prepared, prepare, resolved
from galshift.recipes.product import Product
from galshift.recipes.together import followed, opened, world_of
from galshift.rundirectory import BOOKKEEPING, RunDirectory
from galshift.timing import profiled
from galshift.training.world import World
from galshift.verbs._base import Context, Step

# Besides "product", where the hidden folder of a product has what is to be published.
_BOOKKEEPING = {*BOOKKEEPING, "run.json", "config.yaml", "log.txt", "product"}


@dataclass(frozen=True)
class Executed:
    """A finished step.

    Attributes
    ----------
    run : RunDirectory
        The finished run; for a verb with a positional OUT, its ``path`` is the folder that OUT stands in.
    results : dict
        What the step returned, with ``run`` (its directory) or ``out`` (its product) added.
    skipped : bool
        True when the result was there already.
    step : Step
        The step that ran, for `describe` and `next_steps`.
    """

    run: RunDirectory
    results: dict[str, Any]
    skipped: bool
    step: Step

    @property
    def path(self) -> Path:
        """Where the result is: the product, or the run directory."""
        return Path(self.results.get("out") or self.results["run"])


def execute(
    kind: str,
    config_values: Mapping[str, Any],
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    context: Context | None = None,
    overrides: Sequence[str] = (),
) -> Executed:
    """Run the step `kind`, or return its finished result.

    Parameters
    ----------
    kind : str
        The verb, such as ``adapt``.
    config_values : mapping
        Values of its config; a missing key takes its default, an unknown one is refused.
    out : path, optional
        The run directory, or for a verb with a product the product itself.  Default
        ``runs/<kind>-<fingerprint8>`` in the working directory.
    overwrite : bool
        Move aside what stands at `out` when it is not this result.
    context : Context, optional
        Device and workers: what cannot change a number.
    overrides : sequence of str
        ``key.path=value`` as of ``--set``, checked by the same model.

    Raises
    ------
    ConfigError
        With every problem of the values, or when `out` holds something else.
    DataError
        When an input is missing.
    Interrupted
        When stopped and the same call resumes.
    """
    prepared = prepare(kind, config_values, overrides=overrides)
    context = context or Context()
    if out is not None and prepared.step.product:
        world_of(prepared.step)
        return _make_product(prepared, Path(out), overwrite, context)
    path = Path("runs") / prepared.directory if out is None else Path(out)
    return perform(prepared, path, overwrite=overwrite, context=context)


def perform(
    prepared: Prepared, path: Path, *, overwrite: bool, context: Context, product: str = ""
) -> Executed:
    """Run a prepared step in the run directory `path`, or return what it holds; see :func:`execute`.

    `product` names the file of a verb with a product in that directory; default the verb's own name for it.
    """
    step, world = prepared.step, world_of(prepared.step)
    described = {"kind": step.kind, "fingerprint": prepared.fingerprint, "config": resolved(prepared)}
    if world.rank > 0:
        return _help(prepared, path, described, context, world)
    with opened(path, described, overwrite=overwrite, world=world) as run:
        if run.done:
            return Executed(run, _located(run.manifest()["results"], path, prepared), True, step)
        if step.product:
            context = replace(context, out=path / (product or step.product_of(prepared.config)))
        started = time.monotonic()
        results = _work(prepared, run, context, path)
        with _all_or_nothing(prepared, run):
            run.finish(results, inputs=prepared.inputs.hashes, **_details(prepared, context, started))
    return Executed(run, _located(results, path, prepared), False, step)


def _help(
    prepared: Prepared, path: Path, described: dict[str, Any], context: Context, world: World
) -> Executed:
    """Run the step beside the process that owns the run; the results are the owner's."""
    owned = RunDirectory(path, prepared.step.kind, prepared.fingerprint)
    with followed(path, described, world) as run:
        results = owned.manifest()["results"] if run is None else _work(prepared, run, context, path)
    return Executed(owned, _located(results, path, prepared), run is None, prepared.step)


def _work(prepared: Prepared, run: RunDirectory, context: Context, told: Path) -> dict[str, Any]:
    """Run the step; on failure leave a resumable run, or nothing.  `told` is the place that people know."""
    fresh = _only_bookkeeping(run.path)
    try:
        with termination_as_interrupt(), profiled(context.profile) as profile:
            _check_device(context.device)
            results = jsonable(prepared.step.run(prepared.config, run, context))
            results |= {} if profile is None else {"profile": profile.document()}
        return {"product": context.out.name, **results} if context.out else results
    except Interrupted:
        raise
    except KeyboardInterrupt:
        if prepared.step.resumable:
            raise Interrupted("stopped", where=told, hint="repeat the command to resume") from None
        _discard(run)
        raise
    except Exception as error:
        fault = error if isinstance(error, GalshiftError) else machine_fault(error)
        if fault is None:
            _note(run, "failed: this is a bug in galshift\n" + traceback.format_exc())
            raise
        _note(run, f"failed: {fault}")
        if not prepared.step.resumable or (fresh and _only_bookkeeping(run.path)):
            _discard(run)
        if fault is error:
            raise
        raise fault from error


def _note(run: RunDirectory, line: str) -> None:
    """Log a failure that is raised in any case: a full disk takes no line."""
    with suppress(OSError):
        run.log(line)


def _check_device(name: str) -> None:
    """Refuse a device that is not there before anything is written."""
    if name not in ("auto", "cpu"):
        from galshift.training.device import choose_device

        choose_device(name, "float32")


def _make_product(prepared: Prepared, out: Path, overwrite: bool, context: Context) -> Executed:
    """Make the product at `out` with its manifest beside it, working in a hidden sibling folder."""
    step = prepared.step
    product = Product(step.kind, prepared.fingerprint, out, step.products(prepared.config, out))
    finished = RunDirectory(out.parent, step.kind, prepared.fingerprint)
    results = product.results()
    if results is not None:
        return Executed(finished, _located(results, out, prepared), True, step)
    if not product.made:
        product.require_free(overwrite)
    with product.opened(resolved(prepared)) as run:
        if not product.made:
            started = time.monotonic()
            results = _work(prepared, run, replace(context, out=product.staged), out)
            with _all_or_nothing(prepared, run):
                product.finish(_account(prepared, context, results, started), overwrite=overwrite)
        results = product.publish(overwrite=overwrite)
    return Executed(finished, _located(results, out, prepared), False, step)


def _account(prepared: Prepared, context: Context, results: dict[str, Any], started: float) -> dict[str, Any]:
    return {
        "kind": prepared.step.kind,
        "fingerprint": prepared.fingerprint,
        "results": results,
        "environment": environment(),
        "config": resolved(prepared),
        "inputs": prepared.inputs.hashes,
        **_details(prepared, context, started),
    }


@contextmanager
def _all_or_nothing(prepared: Prepared, run: RunDirectory) -> Iterator[None]:
    """Remove what was made, unless it can be taken up again, when its manifest cannot be written."""
    try:
        yield
    except (OSError, GalshiftError):
        if not prepared.step.resumable:
            _discard(run)
        raise


def _details(prepared: Prepared, context: Context, started: float) -> dict[str, Any]:
    return {
        "version": prepared.step.version,
        "versions": prepared.versions,
        "upstream": prepared.inputs.upstream,
        "input_paths": prepared.inputs.paths,
        "device": context.device,
        "computed_on": _computed_on(context.device),
        "workers": context.workers,
        "seconds": round(time.monotonic() - started, 3),
        **({} if context.scale is None else {"scale": context.scale}),
        **({"skipped": left_out} if (left_out := taken()) else {}),
    }


def _computed_on(device: str) -> str:
    """Return what the work was done on: ``cpu``, or the model of a GPU."""
    torch = sys.modules.get("torch")  # a step without it worked on the CPU
    if torch is None or device == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return str(torch.cuda.get_device_name(None if device == "auto" else device))


def _located(results: Mapping[str, Any], where: Path, prepared: Prepared) -> dict[str, Any]:
    given: dict[str, Any] = {"given": dict(prepared.inputs.paths)}
    read = getattr(prepared.config, "read", None)
    if isinstance(read, ReadOptions) and (said := read.model_dump(mode="json", exclude_defaults=True)):
        given["reading"] = said
    if not prepared.step.product:
        return {"run": str(where), **results, **given}
    product = results.get("product") or prepared.step.product
    return {
        "out": str(where / product if where.is_dir() and (where / "run.json").is_file() else where),
        **results,
        **given,
    }


def _only_bookkeeping(path: Path) -> bool:
    return all(file.name in _BOOKKEEPING for file in path.iterdir())


def _discard(run: RunDirectory) -> None:
    with suppress(OSError):  # of a disk that takes no more, the error that led here is told
        run.discard()
    run.close()


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Treat a scheduler's SIGTERM and SIGUSR1 like Ctrl-C, so that nothing half-written stays behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
