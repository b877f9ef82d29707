"""How train and adapt share out galaxies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.data.options import ReadOptions
from galshift.domains.config import SplitConfig
from galshift.domains.domain import open_source, open_target


def written(path: Path, groups: list[str], labels: np.ndarray | None) -> str:
    """Write one random 8-pixel image for each entry of `groups`."""
    rng = np.random.default_rng(0)
    cutouts = Cutouts(
        images=rng.normal(size=(len(groups), 1, 8, 8)).astype(np.float32),
        unit="nJy",
        pixel_scale=0.2,
        bands=("r",),
        ids=np.array([f"{path.stem}-{i}" for i in range(len(groups))]),
        groups=np.array(groups),
        labels=labels,
        classes=("a", "b"),
    )
    return str(write_hdf5(path, cutouts))


def test_a_galaxy_in_both_surveys_is_in_the_same_part_of_both(tmp_path: Path) -> None:
    """40 galaxies seen by both, 20 by the target alone: no shared one crosses from training to test."""
    shared = [f"g{i}" for i in range(40)]
    alone = [f"h{i}" for i in range(20)]
    source_path = written(tmp_path / "deep.h5", shared, np.arange(40) % 2)
    target_path = written(tmp_path / "shallow.h5", [*alone, *shared], None)
    split = SplitConfig(valid=0.2, test=0.25)
    source = open_source(source_path, ReadOptions(), split, seed=3)
    target = open_target(target_path, ReadOptions(), split, 3, source)
    parts = {
        name: {part: set(domain.info.groups[rows]) for part, rows in domain.parts.items()}
        for name, domain in (("source", source), ("target", target))
    }
    for part in ("train", "valid", "test"):
        assert parts["target"][part] & set(shared) == parts["source"][part]
    assert parts["target"]["valid"] <= set(shared)
    assert len(parts["target"]["test"] & set(alone)) == 5
    counts = [row for rows in target.parts.values() for row in rows]
    assert sorted(counts) == list(range(60))


def test_surveys_of_other_galaxies_are_split_by_the_seed_alone(tmp_path: Path) -> None:
    """Without a shared galaxy the source makes no difference to the target's parts."""
    source_path = written(tmp_path / "a.h5", [f"g{i}" for i in range(20)], np.arange(20) % 2)
    target_path = written(tmp_path / "b.h5", [f"h{i}" for i in range(20)], None)
    source = open_source(source_path, ReadOptions(), SplitConfig(), seed=1)
    beside = open_target(target_path, ReadOptions(), SplitConfig(), 1, source)
    alone = open_target(target_path, ReadOptions(), SplitConfig(), 1)
    assert beside.parts.keys() == alone.parts.keys() == {"train", "test"}
    for part in alone.parts:
        np.testing.assert_array_equal(beside.parts[part], alone.parts[part])
