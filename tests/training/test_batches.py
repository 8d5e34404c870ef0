import pytest
import torch

from tsmtl.training.batches import ALIGNED, TensorSplit, in_order

BACKWARDS = torch.arange(6, -1, -1)


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("rows", [None, BACKWARDS])
@pytest.mark.parametrize("lengths", [None, torch.tensor([2, 4, 3, 1, 1, 5, 2])])
@pytest.mark.parametrize(("own", "expected"), [((0, 7), [[0, 1, 2], [3, 4, 5], [6]]), ((2, 4), [[2, 3]])])
def test_in_order_gives_the_batches_of_consecutive_rows(once, rows, lengths, own, expected):
    split = TensorSplit(torch.randn(7, 2, 5), {}, lengths, rows, once)
    for (x, steps), wanted in zip(in_order(split, slice(*own), 3), expected, strict=True):
        batch, its_steps, _ = split.batch(torch.tensor(wanted))
        assert torch.equal(x, batch)
        assert (steps is None) == (its_steps is None)
        assert steps is None or torch.equal(steps, its_steps)


def test_in_order_copies_only_what_would_begin_elsewhere_than_a_tensor_of_its_own():
    x = torch.randn(12, 4)  # 16 bytes each: batches of 3 begin at 0, 48, 96 and 144, batches of 4 at multiples of 64
    for size, shared in ((3, [True, False, False, False]), (4, [True, True, True]), (12, [True])):
        found = [part for part, _ in in_order(TensorSplit(x, {}, once=True), slice(0, 12), size)]
        assert all(part.data_ptr() % ALIGNED == 0 for part in found)
        assert [part.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for part in found] == shared


def test_what_is_read_again_stays_as_it_is_whatever_a_backbone_does_to_a_batch():
    x = torch.randn(12, 4)
    split, before = TensorSplit(x, {}), x.clone()
    for part, _ in in_order(split, slice(0, 12), 4):
        part.zero_()
    assert torch.equal(x, before)


def test_a_batch_keeps_inputs_targets_and_lengths_together_and_is_cut_to_its_longest():
    x = torch.arange(3 * 2 * 5.0).reshape(3, 2, 5)
    targets = {"cls": torch.tensor([7, 8, 9]), "reg": torch.tensor([[0.7], [0.8], [0.9]])}
    split = TensorSplit(x, targets, torch.tensor([5, 2, 3]))
    assert len(split) == 3
    picked, lengths, picked_targets = split.batch(torch.tensor([2, 1]))
    assert torch.equal(picked, x[[2, 1], :, :3])
    assert lengths.tolist() == [3, 2]
    assert picked_targets["cls"].tolist() == [9, 8]
    assert torch.equal(picked_targets["reg"], targets["reg"][[2, 1]])


def test_without_lengths_a_batch_keeps_all_steps():
    picked, lengths, _ = TensorSplit(torch.zeros(3, 2, 5), {}).batch(torch.tensor([0]))
    assert picked.shape == (1, 2, 5)
    assert lengths is None
