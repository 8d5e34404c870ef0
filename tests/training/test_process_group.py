"""Shares of a batch, and what one rank can say of itself; tests/test_devices.py has several of them."""

import pytest
import torch

from tsmtl.config.errors import UserError
from tsmtl.training.process_group import ProcessGroup, joined


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 64])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_shares_of_all_ranks_are_all_rows_once_and_even(n, size):
    ranks = [ProcessGroup(rank, size, rank, None) for rank in range(size)]
    shares = [list(range(n))[rank.begin(n)] for rank in ranks]
    assert [row for rank, share in zip(ranks, shares, strict=True) for row in share if rank.has_rows] == [*range(n)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert [share for rank, share in zip(ranks, shares, strict=True) if not rank.has_rows] == [[0]] * max(0, size - n)


def test_more_devices_than_gpus_are_refused_with_both_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with (
        pytest.raises(UserError, match="devices: rank 0 needs a CUDA device of its own, and there are 2; take devices"),
        joined(f"file://{tmp_path}/meeting", 0, 1, local_rank=2) as ranks,
    ):
        ranks.use(torch.device("cuda"))
    torch.distributed.destroy_process_group()


def test_ranks_draw_dropout_from_different_random_numbers_that_the_seed_decides(tmp_path):
    from tsmtl.training.seeding import numbers_of_rank

    before = torch.get_rng_state()
    states = [numbers_of_rank(seed, rank)["cpu"] for seed in (0, 1) for rank in (0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert len({tuple(state.tolist()) for state in states}) == 4
    assert torch.equal(numbers_of_rank(1, 1)["cpu"], states[3])
