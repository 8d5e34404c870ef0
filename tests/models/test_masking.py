import pytest
import torch
from torch import nn

from tsmtl.models.masking import BatchNorm, mean_over_steps, valid_steps

LENGTHS = torch.tensor([7, 3, 5, 1])


def padded(seed: int = 0) -> torch.Tensor:
    x = 3 * torch.randn(4, 6, 7, generator=torch.Generator().manual_seed(seed)) + 2
    return x * valid_steps(LENGTHS, x)


def pair() -> tuple[BatchNorm, nn.BatchNorm1d]:
    """Two batch norms with the same weights, other than 1 and 0."""
    ours, torchs = BatchNorm(6), nn.BatchNorm1d(6)
    with torch.no_grad():
        for norm in (ours, torchs):
            norm.weight.copy_(torch.linspace(0.5, 2, 6))
            norm.bias.copy_(torch.linspace(-1, 1, 6))
    return ours, torchs


def test_valid_steps_are_the_first_of_each_series():
    marks = valid_steps(torch.tensor([2, 3, 0]), torch.zeros(3, 5, 3))
    assert marks.shape == (3, 1, 3)
    assert marks[:, 0].tolist() == [[True, True, False], [True, True, True], [False, False, False]]


@pytest.mark.parametrize("train", [True, False])
def test_masked_batch_norm_is_batch_norm_of_the_valid_steps_in_a_row(train):
    ours, torchs = pair()
    for seed in range(3):  # the running statistics grow from batch to batch
        ours.train(train or seed < 2)
        torchs.train(train or seed < 2)
        x = padded(seed)
        out = ours(x, valid_steps(LENGTHS, x))
        steps = torch.cat([row[:, :n] for row, n in zip(x, LENGTHS, strict=True)], dim=1)  # (F, 16)
        expected = torchs(steps.T[:, :, None])[:, :, 0].T
        got = torch.cat([row[:, :n] for row, n in zip(out, LENGTHS, strict=True)], dim=1)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
        assert not out[~valid_steps(LENGTHS, x).expand_as(x)].any()
    torch.testing.assert_close(ours.running_mean, torchs.running_mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.running_var, torchs.running_var, rtol=1e-6, atol=1e-6)
    assert ours.num_batches_tracked == torchs.num_batches_tracked


@pytest.mark.parametrize("train", [True, False])
def test_without_a_mask_it_is_the_batch_norm_of_torch(train):
    ours, torchs = pair()
    x = padded()
    ours.train(train)
    torchs.train(train)
    assert torch.equal(ours(x), torchs(x))
    assert torch.equal(ours.running_mean, torchs.running_mean)
    assert torch.equal(ours.running_var, torchs.running_var)


def test_more_padding_changes_neither_outputs_nor_running_statistics():
    (short, _), (long, _) = pair(), pair()
    x = padded()
    longer = torch.cat([x, torch.zeros(4, 6, 5)], dim=2)
    out = long(longer, valid_steps(LENGTHS, longer))
    torch.testing.assert_close(out[:, :, :7], short(x, valid_steps(LENGTHS, x)), rtol=0, atol=1e-6)
    torch.testing.assert_close(long.running_var, short.running_var, rtol=0, atol=1e-6)


def test_the_mean_over_steps_divides_by_the_valid_ones():
    x = torch.tensor([[[1.0, 2.0, 6.0]], [[4.0, 8.0, 99.0]]])
    assert mean_over_steps(x, valid_steps(torch.tensor([3, 2]), x)).tolist() == [[3], [6]]
    assert mean_over_steps(x, None).tolist() == [[3], [37]]
