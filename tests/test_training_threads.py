"""How many CPU threads a network gets."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from galshift.training.threads import cpu_threads, suited_threads


def test_small_networks_get_one_thread_and_large_ones_what_torch_has() -> None:
    small, large = nn.Linear(10, 10), nn.Linear(2000, 2000)
    assert suited_threads(small) == 1
    assert suited_threads(large) == torch.get_num_threads()
    assert suited_threads(small, 3) == suited_threads(large, 3) == 3


def test_the_old_number_comes_back_even_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="stop"), cpu_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise RuntimeError("stop")
    assert torch.get_num_threads() == before
