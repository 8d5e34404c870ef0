import pytest
import torch

from tsmtl.models.masking import valid_steps
from tsmtl.models.readout import Readout, flatten_by_feature

# Two series of two features and three steps; the second is two steps long, its third step is no part of it.
X = torch.tensor([[[1.0, 2.0, 6.0], [-3.0, -1.0, -2.0]], [[4.0, 8.0, 99.0], [-5.0, -7.0, 99.0]]])
LENGTHS = torch.tensor([3, 2])


@pytest.mark.parametrize(
    ("method", "masked", "expected"),
    [
        ("last", False, [[6, -2], [99, 99]]),
        ("last", True, [[6, -2], [8, -7]]),
        ("mean", False, [[3, -2], [37, 29]]),
        ("mean", True, [[3, -2], [6, -6]]),
        ("max", False, [[6, -1], [99, 99]]),
        ("max", True, [[6, -1], [8, -5]]),  # all-negative features: the zeros of a mask must not win
        ("flatten", False, [[1, -3, 2, -1, 6, -2], [4, -5, 8, -7, 99, 99]]),
    ],
)
def test_a_readout_by_hand(method, masked, expected):
    readout = Readout(method, features=2, steps=3)
    valid = valid_steps(LENGTHS, X) if masked else None
    out = readout(X, valid)
    torch.testing.assert_close(out, torch.tensor(expected, dtype=torch.float32), rtol=0, atol=1e-6)
    assert readout.embed_dim == out.shape[1]


def attention(weight: list[float]) -> Readout:
    readout = Readout("attention", features=2, steps=3)
    readout.score.weight.data = torch.tensor([weight])
    return readout


@pytest.mark.parametrize("masked", [False, True])
def test_attention_weights_sum_to_1_over_the_valid_steps(masked):
    # The second feature is 1 at every valid step, so what is read out of it is the sum of the weights.
    x = X.clone()
    x[:, 1] = 1
    if masked:
        x[1, 1, 2] = 1000  # padding that got any weight would show
    valid = valid_steps(LENGTHS, x) if masked else None
    assert attention([0.7, 0.1])(x, valid)[:, 1].tolist() == pytest.approx([1, 1], abs=1e-6)


def test_a_score_of_0_everywhere_makes_attention_the_mean():
    valid = valid_steps(LENGTHS, X)
    torch.testing.assert_close(attention([0.0, 0.0])(X, valid), torch.tensor([[3.0, -2.0], [6.0, -6.0]]))


def test_a_steep_score_makes_attention_pick_the_step_of_the_highest_valid_score():
    valid = valid_steps(LENGTHS, X)
    # The score is 50 times the first feature: the third step for series 1, the second for series 2.
    torch.testing.assert_close(attention([50.0, 0.0])(X, valid), torch.tensor([[6.0, -2.0], [8.0, -7.0]]))


def test_attention_by_hand():
    # Scores 0, log 2 and log 5 give the weights 1/8, 2/8 and 5/8.
    x = torch.tensor([[[0.0, 2.0, 5.0], [8.0, 16.0, 24.0]]])
    x[0, 0, 1:] = x[0, 0, 1:].log()
    out = attention([1.0, 0.0])(x)
    assert out[0, 1].item() == pytest.approx((8 + 2 * 16 + 5 * 24) / 8, rel=1e-5)


def test_only_flatten_grows_with_the_steps_and_refuses_lengths():
    assert Readout("flatten", 2, 3).embed_dim == 6
    assert not Readout("flatten", 2, 3).takes_lengths
    for method in ("last", "mean", "max", "attention"):
        assert Readout(method, 2, 3).embed_dim == 2
        assert Readout(method, 2, 3).takes_lengths


def test_flattening_by_feature_gives_all_steps_of_a_feature_then_those_of_the_next():
    readout = Readout("flatten", features=2, steps=3)
    flatten_by_feature(torch.nn.Sequential(readout))
    assert readout(X).tolist() == [[1, 2, 6, -3, -1, -2], [4, 8, 99, -5, -7, 99]]


def test_maps_whose_channels_lie_side_by_side_are_flattened_where_they_lie_and_so_is_their_gradient():
    """A convolution in this order takes twice as long for a gradient in the other."""
    maps = torch.randn(4, 7, 3).transpose(1, 2).requires_grad_()
    flat = Readout("flatten", features=3, steps=7)(maps)
    assert flat.data_ptr() == maps.data_ptr()
    (gradient,) = torch.autograd.grad(flat, maps, torch.randn(4, 21))
    assert gradient.stride() == maps.stride()
