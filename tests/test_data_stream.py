"""Streaming: an epoch shows every image once, in an order that is mixed and that a disk can follow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.stream import BlockReader, block_order


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 500), block=st.integers(1, 40), span=st.integers(1, 40), seed=st.integers(0, 99))
def test_an_order_is_a_permutation_and_a_function_of_its_names(n, block, span, seed):
    order = block_order(n, block, span, seed, "source", 3)
    assert sorted(order.tolist()) == list(range(n))
    np.testing.assert_array_equal(order, block_order(n, block, span, seed, "source", 3))


def test_orders_differ_between_epochs_and_sets():
    one = block_order(400, 10, 8, 0, "source", 0)
    assert (one != block_order(400, 10, 8, 0, "source", 1)).any()
    assert (one != block_order(400, 10, 8, 0, "target", 0)).any()
    assert (one != block_order(400, 10, 8, 1, "source", 0)).any()


def test_each_block_is_used_within_its_span_and_batches_mix_many():
    n, block, span = 20_000, 20, 32
    order = block_order(n, block, span, 0)
    places = order // block
    first, last = np.full(n // block, n), np.zeros(n // block)
    np.minimum.at(first, places, np.arange(n))
    np.maximum.at(last, places, np.arange(n))
    assert (last - first).max() <= (span + 2) * block
    batches = places[: n - n % 64].reshape(-1, 64)
    distinct = np.array([len(set(batch)) for batch in batches[10:-10]])
    assert distinct.mean() > 24
    # Classes that lie one after the other on disk come mixed: 5 sigma of a fair draw of 64.
    share = (batches[10:-10] < n // block // 2).mean(axis=1)
    assert abs(share.mean() - 0.5) < 0.02
    assert share.std() < 0.16


class Counted(InMemory):
    """Remembers what was read."""

    def __init__(self, cutouts):
        super().__init__(cutouts)
        self.asked = []

    def read(self, indices):
        self.asked.append(np.asarray(indices))
        return super().read(indices)


def reader(n=600, **sizes):
    images = np.arange(n * 2 * 4, dtype=np.float32).reshape(n, 2, 2, 2)
    dataset = Counted(Cutouts(images=images, unit="nJy"))
    rows = np.random.default_rng(0).permutation(n)[: n - 50]
    made = BlockReader(dataset, rows, lambda cutouts: 2 * cutouts.images, 32, **sizes)
    return made, dataset, 2 * images[rows]


def test_an_epoch_reads_every_block_once_and_holds_few():
    made, dataset, expected = reader(block_bytes=32 * 10, span=6)
    assert made.block == 10
    order = block_order(len(made), made.block, made.span, 1)
    held = 0
    for batch in torch.from_numpy(order).split(16):
        np.testing.assert_array_equal(made.fetch(batch).numpy(), expected[batch])
        held = max(held, len(made._held))
    asked = np.concatenate(dataset.asked)
    assert len(asked) == len(made)
    assert len(np.unique(asked)) == len(made)
    assert all((np.diff(rows) > 0).all() for rows in dataset.asked)
    assert held <= 6 + 16


@pytest.mark.parametrize("indices", [[5], [3, 3, 2], list(range(100)), [549, 0, 12]])
def test_any_indices_give_their_images(indices):
    made, _, expected = reader(block_bytes=32 * 10, span=6)
    np.testing.assert_array_equal(made.fetch(torch.tensor(indices)).numpy(), expected[indices])


def test_random_access_does_not_read_blocks():
    made, dataset, expected = reader(block_bytes=32 * 50, span=2)
    indices = torch.tensor([1, 120, 240, 360, 480, 530, 60, 300, 420, 190, 10])
    np.testing.assert_array_equal(made.fetch(indices).numpy(), expected[indices])
    assert sum(map(len, dataset.asked)) == len(indices)
