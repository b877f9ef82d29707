"""How well is an unknown class found where the surveys differ in more than their noise?

::

    python -m tests.benchmarks.unknown_gaps --work FOLDER [--seeds 2] [--kinds merger] [--gaps seeing,colour]

=============  ==========================================================================================
noise          as in ``unknown_tasks.py``: source LSST's tenth year, target its first
scale          the target on pixels of 0.4 arcsec instead of 0.2; both are brought to 0.4, as adapt does
seeing         the target's PSF 1.4 times as wide besides (1.4 instead of 1.0 arcsec in r); little: 1.15 times
colour         the target's bands out of tune besides: g 15 % brighter, i 13 % fainter; little: 5 and 4 %
=============  ==========================================================================================

Known are spirals, ellipticals and edge-on discs at z = 0.5; mergers, or lenses, are in the target alone and
make up 2, 10 or 25 % of the images that it is adapted to.  Of each known class the source has 400 images to
train on and 100 to validate, the target 300 and other 100 to test, with 150 unknown ones at every share.
Cutouts are 8 arcsec wide; 600 steps of 48 images of either domain.  All else, and the columns, are
``unknown.py``'s, but that ``share`` is the *unknown* share that the method estimates.  Source-only sees no
target but for its noise, which is measured on the target of 10 %, and is trained once.  ``pulse-look`` is
pulse on a source that was given the target's seeing and colours, as ``adapt --set match_look=both`` does.

``looks known`` is what ``evaluate`` says without labels: how much of a target with that share of unknown test
images scores as the source's validation images do; below 0.3 it warns that the score tells the survey.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from galshift import surveys
from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.match_look import look_between
from galshift.data.preprocess import PreprocessConfig, Preprocessing, fit_preprocessing, training_sky_sigma
from galshift.methods.pulse import known_share
from galshift.mocks.observe import observe
from galshift.mocks.psf import from_model
from galshift.provenance import atomic_path, write_json
from galshift.simulate.generate import simulate_all
from galshift.surveys.schema import Survey
from tests.benchmarks.transfer_tasks import Task
from tests.benchmarks.unknown import CONFIG, is_done, judge_run, run_row

KNOWN = ("spiral", "elliptical", "edge-on")
KINDS = ("merger", "lens")
SHARES = (2, 10, 25)  # per cent of the target that is unknown
ROWS = ("source-only", "pulse", "pulse-look", "ovanet", "deepastrouda")
BANDS = ("g", "r", "i")
PARTS = {
    "source": {"source": 400, "valid": 100, "source_test": 50},
    "target": {"target": 300, "target_test": 100},
}
UNKNOWN_TEST = 150
FIELD_ARCSEC, SCALE_ARCSEC = 8.0, 0.2
SHORTER = CONFIG.model_copy(update={"epochs": 12, "steps_per_epoch": 50})
COLUMNS = ("auroc", "h_score", "accuracy", "share", "looks known")


@dataclass(frozen=True)
class Gap:
    """How the target's survey differs from LSST's first year.

    Attributes
    ----------
    seeing, pixel : float
        Factors of PSF FWHM and pixel scale.
    tune : tuple of float
        Factors of the flux, band by band.
    """

    seeing: float = 1.0
    pixel: float = 1.0
    tune: tuple[float, ...] = (1.0, 1.0, 1.0)

    def survey(self) -> Survey:
        """Return the target's survey; colours are put out of tune afterwards."""
        plain = surveys.load("lsst-y1")
        bands = {
            name: band.model_copy(update={"fwhm": _times(band.fwhm, self.seeing)})
            for name, band in plain.bands.items()
        }
        return plain.model_copy(update={"bands": bands, "pixel_scale": _times(plain.pixel_scale, self.pixel)})


GAPS = {
    "noise": Gap(),
    "scale": Gap(pixel=2.0),
    "seeing-little": Gap(seeing=1.15),
    "seeing": Gap(seeing=1.4),
    "colour-little": Gap(tune=(1.05, 1.0, 0.96)),
    "colour": Gap(tune=(1.15, 1.0, 0.87)),
}


def _times(number: Any, factor: float) -> Any:
    return number.model_copy(update={"value": number.value * factor})


def load_gap(kind: str, gap: str, share: int, seed: int, work: Path) -> Task:
    """Return a task at a share [%] of unknown images; all gaps are made on the first call."""
    path = work / f"{kind}-{gap}-{seed}.npz"
    if not path.is_file():
        make_gaps(kind, seed, work)
    with np.load(path) as stored:
        parts = {
            part: (torch.from_numpy(stored[part]), torch.from_numpy(stored[f"{part}_labels"]))
            for parts in PARTS.values()
            for part in parts
        }
        preprocessing = Preprocessing.model_validate_json(str(stored["preprocessing"]))
    images, labels = parts["target"]
    unknown = torch.nonzero(labels < 0).squeeze(1)[: n_unknown(share)]
    rows = torch.cat([torch.nonzero(labels >= 0).squeeze(1), unknown]).sort().values
    parts["target"] = (images[rows], labels[rows])
    sky = [torch.tensor(training_sky_sigma(parts[part][0].numpy())) for part in ("source", "target")]
    return Task(**parts, classes=KNOWN, preprocessing=preprocessing, noise_scale=torch.maximum(*sky))


def n_unknown(share: int) -> int:
    """Return how many unknown images make up `share` per cent beside the target's known ones."""
    return round(len(KNOWN) * PARTS["target"]["target"] * share / (100 - share))


def make_gaps(kind: str, seed: int, work: Path) -> None:
    """Simulate the galaxies of a seed once, and write them as every gap shows them."""
    wanted = {name: gap for name, gap in GAPS.items() if not (work / f"{kind}-{name}-{seed}.npz").is_file()}
    seen: dict[str, dict[str, list[Cutouts]]] = {name: {"source": [], "target": []} for name in wanted}
    for domain, parts in PARTS.items():
        for name in KNOWN if domain == "source" else (*KNOWN, kind):
            n = sum(parts.values()) if name in KNOWN else n_unknown(max(SHARES)) + UNKNOWN_TEST
            number = 2 * seed + (domain == "target") + 1000
            made = simulate_all(n, classes=(name,), seed=number, redshift=0.5, pixel_scale_arcsec=0.1)
            ids = np.array([f"{name}-{number}-{k}" for k in range(n)])
            made = made.with_(ids=ids, groups=ids, table=None)
            if domain == "source":
                once = observe(made, surveys.load("lsst-y10"), bands=BANDS, seed=2 * seed)
            for gap, difference in wanted.items():
                if domain == "target":
                    once = observe(made, difference.survey(), bands=BANDS, seed=2 * seed + 1)
                    tune = np.array(difference.tune, np.float32)[:, None, None]
                    once = once.with_(images=once.images * tune)
                seen[gap][domain].append(once)
    for gap, difference in wanted.items():
        config = PreprocessConfig(
            size=round(FIELD_ARCSEC / SCALE_ARCSEC / difference.pixel),
            pixel_scale_arcsec=SCALE_ARCSEC * difference.pixel,
        )
        with atomic_path(work / f"{kind}-{gap}-{seed}.npz") as temporary, temporary.open("wb") as stream:
            np.savez(stream, **_parts(seen[gap], config, seed))


def _parts(seen: dict[str, list[Cutouts]], config: PreprocessConfig, seed: int) -> dict[str, np.ndarray]:
    """Fit the preprocessing on the source's training images and cut every part out."""
    first = PARTS["source"]["source"]
    train = [c.take(np.arange(first)) for c in seen["source"]]
    joined = replace(
        train[0],
        images=np.concatenate([c.images for c in train]),
        ids=np.concatenate([c.ids for c in train]),
        groups=np.concatenate([c.groups for c in train]),
        labels=np.repeat(np.arange(len(train)), first),
        **dict.fromkeys(("mask", "ivar", "psf_fwhm", "psf")),
    )
    fitted = fit_preprocessing(InMemory(joined), None, config, seed)
    made: dict[str, np.ndarray] = {"preprocessing": np.array(fitted.model_dump_json())}
    for domain, parts in PARTS.items():
        linear = [fitted.linear(c) for c in seen[domain]]
        ends = [0] * len(linear)
        for part, n in parts.items():
            sizes = [n] * len(KNOWN) + [len(images) - UNKNOWN_TEST for images in linear[len(KNOWN) :]]
            if part == "target_test":
                sizes[len(KNOWN) :] = [UNKNOWN_TEST]
            labels = np.concatenate([np.full(m, k if k < len(KNOWN) else -1) for k, m in enumerate(sizes)])
            order = np.random.default_rng(seed).permutation(len(labels))
            rows = [images[end : end + m] for images, end, m in zip(linear, ends, sizes, strict=True)]
            made[part], made[f"{part}_labels"] = np.concatenate(rows)[order], labels[order]
            ends = [end + m for end, m in zip(ends, sizes, strict=True)]
    return made


def place(work: Path, kind: str, gap: str, share: int, seed: int, row: str) -> Path:
    """Return the file of a run; source-only has one for all shares."""
    return work / kind / gap / str(seed) / (f"{row}.npz" if row == "source-only" else f"{row}-{share}.npz")


def train(work: Path, kind: str, gap: str, seed: int, rows: list[str], shares: list[int]) -> None:
    """Train what is missing of one pair and seed."""
    for row in rows:
        for share in (10,) if row == "source-only" else shares:
            path = place(work, kind, gap, share, seed, row)
            if is_done(row, path, SHORTER):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            task = load_gap(kind, gap, share, seed, work / "data")
            run_row(row, seen_alike(task, gap) if row == "pulse-look" else task, seed, path, SHORTER)
            print(f"{kind}, {gap}, seed {seed}: {row}, {share} %", flush=True)


def seen_alike(task: Task, gap: str) -> Task:
    """Return the task with the source's seeing, which is known, and its colours brought to the target's."""
    widths = [
        [from_model(survey.psf, survey.bands[band], survey.pixel_scale.value).fwhm() for band in BANDS]
        for survey in (surveys.load("lsst-y10"), GAPS[gap].survey())
    ]
    look = look_between(task.source[0], task.target[0], tuple(widths), task.preprocessing.pixel_scale_arcsec)
    return replace(
        task, source=(look(task.source[0]), task.source[1]), valid=(look(task.valid[0]), task.valid[1])
    )


def report(work: Path, kinds: list[str], gaps: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the tables as Markdown, and every value."""
    lines, values = [], {}
    for kind in kinds:
        lines += [f"\n### {kind} in the target alone", ""]
        lines.append("| gap | unknown | row | seeds | " + " | ".join(COLUMNS) + " |")
        lines.append("|---" * (4 + len(COLUMNS)) + "|")
        for gap in gaps:
            for share in SHARES:
                rows = _rows(work, kind, gap, share)
                values[f"{kind}, {gap}, {share}"] = rows
                for row, found in rows.items():
                    told = "any" if row.startswith("source-only") else f"{share} %"
                    cells = [_cell([one[column] for one in found]) for column in COLUMNS]
                    lines.append(f"| {gap} | {told} | {row} | {len(found)} | " + " | ".join(cells) + " |")
    return "\n".join(lines), values


def _looks_known(path: Path, labels: np.ndarray, share: int) -> float:
    """The known share of test images of which `share` per cent are unknown; NaN but for pulse."""
    with np.load(path) as stored:
        if not path.stem.startswith("pulse"):  # no other score compares the domains
            return float("nan")
        source, scores = stored["score.valid"], stored["score"]
    n = round((labels >= 0).sum() * share / (100 - share))
    seen = np.concatenate([scores[labels >= 0], scores[labels < 0][:n]])
    return known_share(*(torch.from_numpy(x.astype(float)) for x in (source, seen)))


def _cell(values: list[float]) -> str:
    """Mean, and the least and the greatest: an interval of two seeds would say nothing."""
    if np.isnan(values).any():
        return "–"
    return f"{np.mean(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def _rows(work: Path, kind: str, gap: str, share: int) -> dict[str, list[dict[str, float]]]:
    """The runs of a pair and a share, row by row."""
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for data in sorted((work / "data").glob(f"{kind}-{gap}-[0-9]*.npz")):
        seed = int(data.stem.rsplit("-", 1)[1])
        with np.load(data) as stored:
            labels = stored["target_test_labels"]
        for name in ROWS:
            if (path := place(work, kind, gap, share, seed, name)).is_file():
                for row, one in judge_run(name, path, labels).items():
                    if not row.endswith("energy") and not (
                        row.startswith("source-only") and share > SHARES[0]
                    ):
                        more = {"share": 1 - one["share"], "looks known": _looks_known(path, labels, share)}
                        rows[row].append(one | more | {"seed": seed})
    return dict(rows)


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--kinds", default=KINDS[0])
    parser.add_argument("--gaps", default=",".join(GAPS))
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--shares", default=",".join(map(str, SHARES)), help="of the unknown class [%%]")
    parser.add_argument("--report", action="store_true", help="train nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    shares = [int(share) for share in given.shares.split(",")]
    kinds, gaps = given.kinds.split(","), given.gaps.split(",")
    (given.work / "data").mkdir(parents=True, exist_ok=True)
    for seed in range(given.first_seed, given.first_seed + given.seeds) if not given.report else ():
        for kind in kinds:
            for gap in gaps:
                train(given.work, kind, gap, seed, given.rows.split(","), shares)
    text, values = report(given.work, kinds, gaps)
    write_json(given.work / "results.json", values)
    print(text)


if __name__ == "__main__":
    main()
