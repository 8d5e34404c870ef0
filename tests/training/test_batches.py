import torch

from tsmtl.training.batches import TensorSplit, in_order

CPU = torch.device("cpu")


def test_in_order_is_in_order():
    assert [batch.tolist() for batch in in_order(7, 3, CPU)] == [[0, 1, 2], [3, 4, 5], [6]]


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
