"""The order of an epoch: every row once, neighbours together where a disk wants it."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tsmtl.training.order import TOGETHER, random_order


def drawn(n: int, block: int | None, seed: int = 0) -> torch.Tensor:
    return random_order(n, block, torch.Generator().manual_seed(seed))


@given(st.integers(1, 500), st.none() | st.integers(1, 60), st.integers(0, 2**32))
def test_every_row_comes_once(n, block, seed):
    assert sorted(drawn(n, block, seed).tolist()) == list(range(n))


@given(st.integers(1, 200))
def test_up_to_one_block_the_order_is_that_of_an_ordinary_shuffle(n):
    plain = torch.randperm(n, generator=torch.Generator().manual_seed(3))
    assert torch.equal(drawn(n, n, 3), plain)
    assert torch.equal(drawn(n, None, 3), plain)


def test_few_blocks_are_read_at_a_time_and_shuffled_among_each_other():
    block = 50
    order = drawn(block * TOGETHER * 5, block)
    pieces = order.view(5, block * TOGETHER)
    seen = [set((piece // block).tolist()) for piece in pieces]
    assert [len(blocks) for blocks in seen] == [TOGETHER] * 5
    assert len(set().union(*seen)) == 5 * TOGETHER
    first = pieces[0] // block
    assert len(set(first[:block].tolist())) == TOGETHER, "the first rows come of all blocks of the piece"
    assert max(seen[0]) - min(seen[0]) >= TOGETHER, "its blocks are no neighbours"


def test_epochs_differ_in_the_blocks_that_stand_together():
    generator = torch.Generator().manual_seed(0)
    first, second = (set((random_order(2000, 10, generator)[:80] // 10).tolist()) for _ in range(2))
    assert first != second


def test_every_row_is_first_about_equally_often():
    firsts = torch.tensor([int(drawn(60, 5, seed)[0]) for seed in range(3000)])
    counts = torch.bincount(firsts, minlength=60).float()
    assert counts.min() > 50 - 5 * 7  # expected 50 of 3000, sd 7
    assert counts.max() < 50 + 5 * 7
