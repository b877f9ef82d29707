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
    "cluster": "distributed",
    "parquet": "pyarrow",
    "tracking": "tensorboard",
}


def examine(folder: str | Path = ".") -> dict[str, Any]:
    """Return what matters about this machine for running galshift in `folder`.

    Returns
    -------
    dict
        ``galshift``, ``python``, ``platform``, ``cpus`` (usable by this process), ``packages`` and ``extras``
        (version or None), ``cuda`` (one entry a device: name, memory_gb, free_gb), ``device`` and ``why``,
        ``disk_free_gb``, ``problems`` (sentences; empty when all is well).
    """
    packages = {name: _version(name) for name in CORE}
    problems = [f"{name} is not installed" for name, version in packages.items() if version is None]
    cuda, device, why = _devices() if packages["torch"] else ([], "none", "torch is not installed")
    free = shutil.disk_usage(folder).free / 1e9
    if free < 2:
        problems.append(f"only {free:.1f} GB of disk are free here")
    if not os.access(folder, os.W_OK):
        problems.append("this folder cannot be written to")
    return {
        "galshift": galshift.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "packages": packages,
        "extras": {extra: _version(name) for extra, name in EXTRAS.items()},
        "cuda": cuda,
        "device": device,
        "why": why,
        "disk_free_gb": round(free, 1),
        "problems": problems,
    }


def _devices() -> tuple[list[dict[str, Any]], str, str]:
    """Return the CUDA devices, the device that ``auto`` means, and why."""
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        why = "torch sees no CUDA device" if built else "this torch is built without CUDA"
        return [], "cpu", why
    found = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append(
            {
                "name": torch.cuda.get_device_name(index),
                "memory_gb": round(total / 1e9, 1),
                "free_gb": round(free / 1e9, 1),
            }
        )
    return found, "cuda", f"torch sees {len(found)} CUDA device{'s' if len(found) > 1 else ''}"


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report as lines for people."""
    extras = [f"{name} {version or 'not installed'}" for name, version in report["extras"].items()]
    text = [
        f"galshift   {report['galshift']}   python {report['python']} ({sys.executable})",
        f"platform   {report['platform']}, {report['cpus']} CPUs, {report['disk_free_gb']} GB free here",
        f"packages   {', '.join(f'{name} {version}' for name, version in report['packages'].items())}",
        f"extras     {', '.join(extras)}",
        f"device     {report['device']}: {report['why']}",
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


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
