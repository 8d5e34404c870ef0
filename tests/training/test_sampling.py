"""Which rows an epoch reads: laws that hold for every set of labels, and shares counted over many epochs."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tsmtl.training.sampling import BalancedSampler, BothTasksSampler, Sampler, batch_sizes

CPU = torch.device("cpu")
N, SIZES, SHARES = st.integers(2, 60), st.integers(1, 20), st.just(1.0) | st.floats(0.01, 1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(sampler: Sampler, seed: int = 0) -> list[list[int]]:
    return [rows.tolist() for rows in sampler.draw(seeded(seed))]


def masks(n: int) -> st.SearchStrategy[Tensor]:
    return st.lists(st.booleans(), min_size=n, max_size=n).map(torch.tensor)


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (12, 4, [4, 4, 4]),
        (14, 4, [4, 4, 4, 2]),
        (13, 4, [4, 4, 5]),  # a last batch of one joins the batch before it
        (5, 4, [5]),
        (3, 4, [3]),
        (1, 4, [1]),
        (4, 1, [1, 1, 1, 1]),
    ],
)
def test_an_epoch_holds_every_row_once(n, batch_size, sizes):
    sampler = Sampler(n, batch_size, CPU)
    batches = drawn(sampler)
    assert sampler.steps == len(sizes)
    assert [len(batch) for batch in batches] == sizes
    assert sorted(row for batch in batches for row in batch) == list(range(n))


def test_the_order_is_that_of_torchs_permutation():
    expected = torch.randperm(50, generator=seeded(1)).split(8)
    assert drawn(Sampler(50, 8, CPU), 1) == [rows.tolist() for rows in expected]


@given(N, SIZES, SHARES, st.data())
@settings(max_examples=60, deadline=None)
def test_every_sampler_keeps_its_word_on_steps_and_is_drawn_again_from_the_generators_state(n, size, share, data):
    ids = torch.tensor(data.draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n).filter(lambda v: max(v) >= 0)))
    samplers = [
        Sampler(n, size, CPU, share),
        BalancedSampler(ids, size, CPU, share),
        BothTasksSampler((data.draw(masks(n)), data.draw(masks(n))), size, CPU, share),
    ]
    generator = seeded(data.draw(st.integers(0, 100)))
    for sampler in samplers:
        state = generator.get_state()
        epoch = sampler.draw(generator)
        after = generator.get_state()
        generator.set_state(state)
        again = copy.deepcopy(sampler).draw(generator)
        assert all(torch.equal(a, b) for a, b in zip(epoch, again, strict=True))
        assert torch.equal(generator.get_state(), after)
        assert len(epoch) == sampler.steps == len(batch_sizes(sampler.count, size))
        assert all(len(rows) for rows in epoch)
        assert sampler.count == min(n, max(2, round(share * n)))
        rows = torch.cat(epoch)
        assert 0 <= rows.min() <= rows.max() < n
        if not isinstance(sampler, BothTasksSampler):
            assert len(rows) == sampler.count


def test_a_share_of_the_rows_is_drawn_anew_in_every_epoch_each_row_as_often():
    sampler, generator = Sampler(40, 4, CPU, 0.25), seeded()
    epochs = [torch.cat(sampler.draw(generator)) for _ in range(2000)]
    assert sampler.steps == 3  # ten rows: four, four and two
    assert all(len(rows.unique()) == 10 for rows in epochs)
    counts = torch.bincount(torch.cat(epochs), minlength=40)
    assert counts.sum() == 20000
    assert (counts - 500).abs().max() < 5 * (2000 * 0.25 * 0.75) ** 0.5  # five sd of a binomial


@given(N, SIZES, st.data())
@settings(max_examples=60, deadline=None)
def test_in_a_balanced_epoch_classes_differ_by_one_row_and_rows_without_a_class_keep_their_share(n, size, data):
    ids = torch.tensor(data.draw(st.lists(st.integers(-1, 4), min_size=n, max_size=n).filter(lambda v: max(v) >= 0)))
    rows = torch.cat(BalancedSampler(ids, size, CPU).draw(seeded(data.draw(st.integers(0, 100)))))
    assert len(rows) == n
    got = ids[rows]
    counts = torch.bincount(got[got >= 0])[ids[ids >= 0].unique()]
    assert counts.max() - counts.min() <= 1
    times = torch.bincount(rows, minlength=n)
    assert (times[ids < 0] == 1).all(), "each of them once"
    for k in ids[ids >= 0].unique():
        assert times[ids == k].max() - times[ids == k].min() <= 1, "none twice before each once"


def test_over_epochs_every_class_and_every_row_of_a_class_come_equally_often():
    ids = torch.tensor([0] * 40 + [1] * 7 + [2] * 2 + [-1] * 5)
    sampler, generator, epochs = BalancedSampler(ids, 8, CPU), seeded(), 3000
    rows = torch.cat([torch.cat(sampler.draw(generator)) for _ in range(epochs)])
    classes = torch.bincount(ids[rows] + 1, minlength=4) / epochs
    # 54 rows: 5 without a class, and 49 for three classes, 16 and a third of one more each.
    assert classes.tolist() == pytest.approx([5, 49 / 3, 49 / 3, 49 / 3], abs=5 * (2 / 9 / epochs) ** 0.5)
    times = torch.bincount(rows, minlength=len(ids)) / epochs
    for k, number in ((0, 40), (1, 7), (2, 2)):
        expected = 49 / 3 / number
        assert (times[ids == k] - expected).abs().max() < 5 * (0.25 / epochs) ** 0.5


def test_batches_of_a_balanced_epoch_are_mixed():
    ids = torch.tensor([0] * 90 + [1] * 10)
    batches = BalancedSampler(ids, 20, CPU).draw(seeded())
    assert all(4 <= int(ids[rows].sum()) <= 16 for rows in batches)  # ten of twenty expected; sd 2


@given(N, SIZES, SHARES, st.data())
@settings(max_examples=150, deadline=None)
def test_every_batch_holds_labels_of_both_tasks_and_every_row_is_seen(n, size, share, data):
    labelled = data.draw(masks(n)), data.draw(masks(n))
    sampler = BothTasksSampler(labelled, size, CPU, share)
    batches = sampler.draw(seeded(data.draw(st.integers(0, 100))))
    rows, steps = torch.cat(batches), sampler.steps
    for mask in labelled:
        if mask.any():
            assert all(mask[batch].any() for batch in batches)
    assert sampler.count <= len(rows.unique()) <= n
    times = torch.bincount(rows, minlength=n)
    assert len(rows) - sampler.count <= 2 * steps
    sizes = [len(batch) for batch in batches]
    assert min(sizes) >= sampler.count // steps
    assert max(sizes) <= -(-sampler.count // steps) + 2
    if sampler.count == n and all(int(mask.sum()) >= steps for mask in labelled):
        assert (times == 1).all(), "with enough labels, each once"
        for mask in labelled:
            per_batch = [int(mask[batch].sum()) for batch in batches]
            assert max(per_batch) - min(per_batch) <= 1


def test_a_single_labelled_row_is_in_every_batch_and_never_twice_in_one():
    first = torch.zeros(20, dtype=torch.bool)
    first[7] = True
    batches = drawn(BothTasksSampler((first, ~first), 4, CPU))
    assert [batch.count(7) for batch in batches] == [1] * 5
    assert sorted(len(batch) for batch in batches) == [4, 5, 5, 5, 5]


def test_both_tasks_deals_other_batches_in_every_epoch():
    first = torch.arange(60) < 15
    sampler, generator = BothTasksSampler((first, ~first), 6, CPU), seeded()
    together = torch.zeros(60, 60)
    for _ in range(300):
        for rows in sampler.draw(generator):
            together[rows[:, None], rows] += 1
    others = together[~torch.eye(60, dtype=torch.bool)]
    assert others.min() > 0, "any two rows meet"


def test_every_batch_has_a_label_of_each_of_three_tasks_and_kinds_are_spread():
    generator = torch.Generator().manual_seed(0)
    labelled = [torch.rand(90, generator=generator) < share for share in (0.9, 0.3, 0.05)]
    batches = BothTasksSampler(labelled, 10, CPU).draw(generator)
    assert all(mask[rows].any() for rows in batches for mask in labelled)
    rows = torch.cat(batches)
    assert set(rows.tolist()) == set(range(90))
    rare = labelled[2]
    assert len(rows) <= 90 + len(batches)  # only the rarest task repeats, once a batch at most
    assert [int(rare[batch].sum()) for batch in batches] == [1] * len(batches)
