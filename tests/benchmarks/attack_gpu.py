"""The complete search on a GPU against the same search on two CPU threads; see ``benchmarks.attack``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from galshift.audit._problem import Found, Goal, Problem
from galshift.audit.attack import Images, Setting, attack, n_queries
from galshift.audit.config import AttackConfig
from galshift.audit.exhaustive import search
from galshift.audit.faults import FAULTS
from galshift.audit.injector import Injector
from galshift.audit.prober import Prober

WANTED = 20.0
CPU_THREADS = 2


def two_values_a_band(setting: Setting) -> Setting:
    """Return the setting with one band of a pixel at a time at either end of its range."""
    kind = FAULTS.get("rgb")
    return replace(setting, fault=kind(kind.Config(combine="each")))


def main(options: argparse.Namespace, trained: Callable[[], tuple[Setting, Tensor, np.ndarray]]) -> None:
    """Print verdicts and rates of both devices, and their ratio, or why there is nothing to compare."""
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("No CUDA device is visible: the GPU line of the audit was not measured.")
        return
    setting, linear, labels = trained()
    setting = two_values_a_band(setting)
    order = np.random.default_rng(1).permutation(len(linear))[: options.images]
    linear, labels = linear[order], labels[order]
    each = n_queries(setting, AttackConfig(), tuple(linear.shape[1:]))
    device = torch.device(options.device)
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{len(linear)} images of {tuple(linear.shape[1:])}, {each:,} queries an image; {what}")
    gpu, seconds = rows_on(setting, linear, labels, device)
    rate = each * len(linear) / seconds
    print(f"{what}: {seconds:.2f} s, {rate:,.0f} queries / s, {sum(row['flipped'] for row in gpu)} flip")
    whole = whole_rate(setting, linear[0], int(labels[0]), device)
    print(f"{what}, whole forward passes: {whole:,.0f} queries / s")
    torch.set_num_threads(CPU_THREADS)
    n = min(options.cpu_images, len(linear))
    cpu, seconds = rows_on(setting, linear[:n], labels[:n], torch.device("cpu"))
    slow = each * n / seconds
    print(f"{CPU_THREADS} CPU threads: {n} images in {seconds:.1f} s, {slow:,.0f} queries / s")
    same = all(
        a[key] == b[key] for a, b in zip(cpu, gpu) for key in ("flipped", "certified", "variant_flips")
    )
    apart = max(abs(a["p_after"] - b["p_after"]) for a, b in zip(cpu, gpu))
    print(
        f"same verdicts, flips by variant included: {same}; p of the strongest differs by {apart:.1e} at most"
    )
    print(f"queries / s over {CPU_THREADS} CPU threads: {rate / slow:.1f} x (>= {WANTED:.0f})")


def rows_on(
    setting: Setting, linear: Tensor, labels: np.ndarray, device: torch.device
) -> tuple[list[dict], float]:
    """Return each image's row and the wall seconds of all, after one image that warms up."""
    setting.model.to(device)
    names = [f"class {i}" for i in range(int(labels.max()) + 1)]
    ids = [str(i) for i in range(len(linear))]
    images = Images(linear, labels, ids, names, setting.scene.bands)
    warm = replace(images, linear=linear[:1], labels=labels[:1], ids=ids[:1])
    if device.type == "cuda":
        list(attack(setting, warm, AttackConfig()))
    started = time.perf_counter()  # every row is fetched from the device, which waits for it
    rows = [row.values for row in attack(setting, images, AttackConfig())]
    return rows, time.perf_counter() - started


def whole_rate(setting: Setting, linear: Tensor, label: int, device: torch.device) -> float:
    """Return queries a second of one image by whole forward passes only."""
    injector = Injector(setting.fault, setting.scene, setting.stretch)
    prober = Prober(setting.model.to(device), tuple(linear.shape), incremental=False)

    def once() -> Found:
        return search(Problem(prober, injector, Goal(label), linear.to(device)))

    if device.type == "cuda":
        once()
    started = time.perf_counter()
    return once().queries / (time.perf_counter() - started)
