import pytest
import torch

from tsmtl.training.batches import TensorSplit, in_order, shuffled_rows, steps_per_epoch

CPU = torch.device("cpu")


def rows(n: int, batch_size: int, seed: int = 0) -> list[list[int]]:
    return [r.tolist() for r in shuffled_rows(n, batch_size, torch.Generator().manual_seed(seed), CPU)]


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
    batches = rows(n, batch_size)
    assert steps_per_epoch(n, batch_size) == len(sizes)
    assert [len(batch) for batch in batches] == sizes
    assert sorted(row for batch in batches for row in batch) == list(range(n))


def test_the_order_is_that_of_the_generator():
    assert rows(50, 8, seed=1) == rows(50, 8, seed=1)
    assert rows(50, 8, seed=1) != rows(50, 8, seed=2)
    generator = torch.Generator().manual_seed(1)
    epochs = [torch.cat(shuffled_rows(50, 8, generator, CPU)).tolist() for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert epochs[0] != list(range(50))


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
