"""Workers of an existing Dask cluster that share out pieces of work; results come in order.

A piece whose worker is lost is made again by another.  The cluster is somebody's: nothing there is
configured, started or stopped.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import galshift
from galshift import console
from galshift.crew import lost, outcome
from galshift.errors import ResourceError

_SECONDS_TO_ANSWER = 20
#: For so long a cluster may be without any worker: a queue may be long, but not every night is.
_SECONDS_WITHOUT_WORKERS = 600
_LOOK_EVERY = 2.0


def on_cluster(
    do: Callable[[Any], Any],
    pieces: Sequence[Any],
    address: str,
    name: Callable[[Any], str],
    forget: Callable[[], None],
) -> Iterator[tuple[Any, Any]]:
    """Yield every piece with its result, in order, made by the workers of the cluster at `address`.

    Parameters
    ----------
    do : callable
        Picklable; takes a piece.
    pieces : sequence
    address : str
        Of the scheduler, such as ``tcp://node17:8786``, or the file that it wrote (``--scheduler-file``).
    name : callable
        What a piece is called in messages.
    forget : callable
        Picklable; called by every worker at the end, which serves others after this.

    Raises
    ------
    ResourceError
        When Dask is not installed, the scheduler does not answer, it has no workers or others than these, or
        a piece was lost with several workers.
    Exception
        The first one, in the order of the pieces, that `do` raised.
    """
    with _connected(address) as client:
        _wait_for_workers(client, address)
        _check_versions(client, address)
        try:
            yield from _in_order(client, do, pieces, address, name)
        finally:
            if client.status == "running":
                client.run(forget, on_error="ignore")


def _connected(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise ResourceError(
            "--scheduler needs Dask's distributed", hint="pip install 'galshift[cluster]'"
        ) from None
    try:
        return Client(_checked(address), timeout=_SECONDS_TO_ANSWER, set_as_default=False)
    except (OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise ResourceError(
            f"the scheduler does not answer: {text}",
            where=address,
            hint="give the address that dask scheduler printed, or its --scheduler-file",
        ) from None


def _checked(address: str) -> str:
    """Return the address, or the one in a file; ValueError for what is none: its client would not close."""
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    if os.path.isfile(address):
        address = str(json.loads(Path(address).read_text(encoding="utf-8"))["address"])
    scheme, place = parse_address(address)
    get_backend(scheme)
    if scheme in ("tcp", "tls", "ws", "wss"):
        parse_host_port(place)
    return address


def _wait_for_workers(client: Any, address: str) -> None:
    if client.nthreads():
        return
    console.say(f"{address} has no workers yet: waiting for the first")
    deadline = time.monotonic() + _SECONDS_WITHOUT_WORKERS
    while not client.nthreads():
        if time.monotonic() > deadline:
            raise _no_workers(address)
        time.sleep(_LOOK_EVERY / 4)


def _no_workers(address: str) -> ResourceError:
    return ResourceError(
        f"the scheduler has had no workers for {_SECONDS_WITHOUT_WORKERS // 60} minutes",
        where=address,
        hint=f"start some: dask worker {_as_typed(address)} --nthreads 1",
    )


def versions() -> dict[str, str]:
    """Return the packages that make the bits, and their versions here; torch need not be loaded for it."""
    return {"galshift": galshift.__version__, "torch": metadata.version("torch")}


def _as_typed(address: str) -> str:
    """Return how a worker is told of the scheduler."""
    return f"--scheduler-file {address}" if os.path.isfile(address) else address


def _check_versions(client: Any, address: str) -> None:
    """Ask every worker that is there now; one that comes later is asked with its first piece."""
    here = versions()
    for worker, found in client.run(versions, on_error="return").items():
        there = found if isinstance(found, dict) else {}
        for package, wanted in here.items():
            if there.get(package) != wanted:
                raise other_version(worker, package, there.get(package), wanted, address)


def other_version(
    worker: str, package: str, found: str | None, wanted: str, address: str | None = None
) -> ResourceError:
    """Return the error of a worker that would make other bits."""
    has = f"has {package} {found}" if found else f"has no {package}"
    return ResourceError(
        f"the worker {worker} {has}, and this is {package} {wanted}",
        where=address,
        hint="start the workers in the same environment as this command",
    )


def _in_order(
    client: Any, do: Callable[[Any], Any], pieces: Sequence[Any], address: str, name: Callable[[Any], str]
) -> Iterator[tuple[Any, Any]]:
    """Keep some pieces under way for each worker and yield them in order; cancel them on the way out."""
    from distributed import CancelledError, KilledWorker

    token = uuid.uuid4().hex[:12]
    waiting: deque[tuple[Any, Any]] = deque()
    rest = iter(enumerate(pieces))
    try:
        while True:
            ahead = 3 * max(len(client.nthreads()), 1)
            while len(waiting) < ahead and (entry := next(rest, None)) is not None:
                number, piece = entry
                key = f"galshift-{token}-{number}"
                waiting.append((piece, client.submit(outcome, do, piece, key=key, pure=False)))
            if not waiting:
                return
            piece, future = waiting[0]
            _wait(client, future, address)
            good, value = future.result()
            waiting.popleft()
            del future  # the cluster may forget it
            if not good:
                raise value
            yield piece, value
    except KilledWorker:
        raise lost(name(waiting[0][0])) from None
    except (CancelledError, OSError) as error:
        if client.status == "running" and not isinstance(error, CancelledError):
            raise
        raise ResourceError("the scheduler was lost", where=address, hint="repeat the command") from None
    finally:
        if client.status == "running":
            client.cancel([future for _, future in waiting], force=True)


def _wait(client: Any, future: Any, address: str) -> None:
    """Return when `future` is done; looks now and then whether anybody is there to do it."""
    from distributed import wait

    since = None
    while True:
        try:
            with client.as_current():
                wait([future], timeout=_LOOK_EVERY)
            return
        except TimeoutError:
            if client.nthreads():
                since = None
                continue
        since = since or time.monotonic()
        if time.monotonic() - since > _SECONDS_WITHOUT_WORKERS:
            raise _no_workers(address)
