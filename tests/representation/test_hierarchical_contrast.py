"""The contrast against sums written out, and what shorter series take part in."""

import math

import pytest
import torch

from tsmtl.representation.hierarchical_contrast import contrast, hierarchical_contrast


def by_hand(vectors: torch.Tensor, pairs: list[int]) -> float:
    """Add up the loss of one group (2M, E) as the paper writes it, over pairs that take part."""
    m = len(vectors) // 2
    there = [*pairs, *(m + i for i in pairs)]
    total = 0.0
    for i in there:
        j = (i + m) % (2 * m)
        others = sum(math.exp(float(vectors[i] @ vectors[k])) for k in there if k != i)
        total -= math.log(math.exp(float(vectors[i] @ vectors[j])) / others)
    return total / len(there)


def test_the_contrast_of_a_group_is_that_of_the_paper():
    vectors = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0))
    expected = sum(by_hand(group, [0, 1, 2, 3]) for group in vectors) / 3
    assert contrast(vectors, None).item() == pytest.approx(expected, rel=1e-5)


def test_pairs_that_take_no_part_are_as_if_they_were_not_there():
    vectors = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    valid = torch.tensor([[True, False, True, True], [False, True, True, False]])
    loss = contrast(vectors, valid)
    rows = [[0, 2, 3], [1, 2]]
    expected = sum(len(own) * by_hand(vectors[g].detach(), own) for g, own in enumerate(rows)) / 5
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    moved = vectors.grad.abs().sum(dim=2) > 0
    assert torch.equal(moved, torch.cat([valid, valid], dim=1))


def test_one_pair_alone_has_nothing_to_tell_it_from():
    assert contrast(torch.randn(4, 2, 3), None).item() == pytest.approx(0, abs=1e-6)


def test_every_scale_counts_alike_and_time_is_not_told_apart_at_the_last():
    # By hand, N = 2 series, E = 1, T = 2: two scales, and one temporal contrast of four steps.
    first, second = torch.tensor([[[1.0, 2.0]], [[0.0, -1.0]]]), torch.tensor([[[2.0, 1.0]], [[1.0, 0.0]]])
    at_0 = [torch.stack([first[0, :, t], first[1, :, t], second[0, :, t], second[1, :, t]]) for t in (0, 1)]
    at_1 = torch.tensor([[2.0], [0.0], [2.0], [1.0]])  # the greatest of both steps
    expected = ((by_hand(at_0[0], [0, 1]) + by_hand(at_0[1], [0, 1])) / 2 + by_hand(at_1, [0, 1])) / 2
    in_time = [torch.stack([first[n, :, 0], first[n, :, 1], second[n, :, 0], second[n, :, 1]]) for n in (0, 1)]
    instance, temporal = hierarchical_contrast(first, second, None, 0)
    assert instance.item() == pytest.approx(expected, rel=1e-5)
    assert temporal.item() == pytest.approx(sum(by_hand(group, [0, 1]) for group in in_time) / 2 / 2, rel=1e-5)
    assert hierarchical_contrast(first, second, None, 1)[1].item() == 0


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
def test_where_all_is_valid_the_mask_says_nothing(steps):
    first, second = torch.randn(2, 3, 4, steps, generator=torch.Generator().manual_seed(2))
    plain = hierarchical_contrast(first, second, None, 0)
    masked = hierarchical_contrast(first, second, torch.ones(3, steps, dtype=torch.bool), 0)
    torch.testing.assert_close(masked, plain)


def test_what_stands_in_the_padding_is_not_looked_at():
    generator = torch.Generator().manual_seed(3)
    first, second = torch.randn(2, 3, 4, 7, generator=generator)
    valid = torch.arange(7) < torch.tensor([[7], [4], [1]])
    before = hierarchical_contrast(first, second, valid, 0)
    first, second = (torch.where(valid[:, None], view, 100.0) for view in (first, second))
    torch.testing.assert_close(hierarchical_contrast(first, second, valid, 0), before)
