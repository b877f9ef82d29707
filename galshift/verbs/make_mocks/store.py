"""Finished pieces of a make-mocks run in a folder, and how they are joined into the products."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.data.fits_writer import write_fits_folder
from galshift.data.hdf5 import write_hdf5
from galshift.data.open import open_dataset
from galshift.mocks.observe import Observation
from galshift.provenance import atomic_path, write_json
from galshift.verbs.make_mocks.jobs import Job, Piece
from galshift.verbs.make_mocks.paths import beside, is_hdf5


class Store:
    """Finished pieces in a folder, so that an interrupted run takes up where it stopped.

    Parameters
    ----------
    folder : Path
    job : Job
    truth : bool
        Store the noiseless images too.
    groups_from : str
        Where the input's names of galaxies come from; the products keep it.
    """

    def __init__(self, folder: Path, job: Job, truth: bool, groups_from: str) -> None:
        self.folder, self.job, self.truth, self.groups_from = Path(folder), job, truth, groups_from

    def has(self, piece: Piece) -> bool:
        """Return whether `piece` is there in full: its account is written last."""
        return self._file(piece, len(self.job.surveys) - 1, "json").is_file()

    def put(self, piece: Piece, observations: list[Observation]) -> None:
        """Store what was made of `piece`."""
        for index, made_ in enumerate(observations):
            truth = [made_.truth] if self.truth else None
            write_hdf5(self._file(piece, index, "h5"), made_.cutouts, truth=truth)
        for index, made_ in enumerate(observations):
            write_json(self._file(piece, index, "json"), {"images": made_.records, "notes": made_.notes})

    def join(self, index: int, cut: list[Piece], path: Path, provenance: dict[str, Any]) -> None:
        """Write one survey's product and the account of every image beside it."""
        with atomic_path(beside(path, "images.jsonl")) as temporary, temporary.open("w") as stream:
            for account in self._accounts(index, cut):
                stream.write(json.dumps(account) + "\n")
        if is_hdf5(path):
            truth = self._truths(index, cut) if self.truth else None
            write_hdf5(path, self._cutouts(index, cut), provenance=provenance, truth=truth)
            return
        write_fits_folder(path, self._cutouts(index, cut), provenance=provenance)
        if self.truth:
            noiseless = (
                cutouts.with_("noiseless", images=truth, ivar=None, mask=None)
                for cutouts, truth in zip(self._cutouts(index, cut), self._truths(index, cut))
            )
            write_fits_folder(beside(path, "truth"), noiseless, provenance=provenance)

    def summary(self, index: int, cut: list[Piece]) -> dict[str, Any]:
        """Return medians over the images, by band, and the notes."""
        values: dict[str, dict[str, list[float]]] = {}
        for account in self._accounts(index, cut):
            for band, numbers in account["bands"].items():
                for key in ("fwhm_arcsec", "sky_sigma_njy", "flux_njy"):
                    values.setdefault(band, {}).setdefault(key, []).append(numbers[key])
        notes = json.loads(self._file(cut[0], index, "json").read_text(encoding="utf-8"))["notes"]
        empty = self.empty(index, cut)
        if empty:
            notes.append(f"{len(empty)} images have no good pixel ({', '.join(empty[:3])}): masked in full")
        medians = {b: {k: float(np.median(v)) for k, v in keys.items()} for b, keys in values.items()}
        return {"bands": medians, "notes": notes}

    def empty(self, index: int, cut: list[Piece]) -> list[str]:
        """Return the ids of the images that have no good pixel."""
        return [account["id"] for account in self._accounts(index, cut) if account.get("no_good_pixel")]

    def _file(self, piece: Piece, index: int, suffix: str) -> Path:
        return self.folder / f"{piece.number:06d}-{index}.{suffix}"

    def _accounts(self, index: int, cut: list[Piece]) -> Iterator[dict[str, Any]]:
        for piece in cut:
            yield from json.loads(self._file(piece, index, "json").read_text(encoding="utf-8"))["images"]

    def _cutouts(self, index: int, cut: list[Piece]) -> Iterator[Cutouts]:
        for piece in cut:
            stored = as_stored(self._file(piece, index, "h5"), piece.stop - piece.start)
            yield stored.with_(groups_from=self.groups_from)

    def _truths(self, index: int, cut: list[Piece]) -> Iterator[np.ndarray]:
        for piece in cut:
            with h5py.File(self._file(piece, index, "h5"), "r", locking=False) as file:
                yield file["truth"][:]


def as_stored(path: Path, n: int) -> Cutouts:
    """Return the first `n` images of an HDF5 file with the pixels that its mask makes a reader blank."""
    cutouts = open_dataset(path).read(np.arange(n))
    with h5py.File(path, "r", locking=False) as file:
        return cutouts.with_(images=file["images"][:n])
