"""Dropout, by the native kernel and without: masks that random numbers say, of the right size, and torch's rules."""

import pytest
import torch

from tests.conftest import needs_compiler
from tsmtl.models.dropout import DROPOUT_KERNELS, WORTH_A_CALL, Dropout, dropped, mask_of, philox
from tsmtl.models.kernels import train_natively


def native(p: float) -> Dropout:
    made = Dropout(p)
    train_natively(made)
    return made


both_ways = pytest.mark.parametrize("made", [Dropout, pytest.param(native, marks=needs_compiler)])


# Known answers of the paper's own library (Random123, kat_vectors): counter and key of zeros.
def test_the_reference_gives_the_published_words():
    assert philox(0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@needs_compiler
@pytest.mark.parametrize("n", [1, 15, 16, 127, 128, 129, 8192, 20_001])
def test_each_value_has_the_bits_of_its_place(n):
    key = -3
    kept = dropped(DROPOUT_KERNELS.loaded, torch.ones(n), 0.3, key) > 0
    for i in {0, n // 3, n // 2, n - 1}:
        words = philox(16 * (i // 128) + i % 16, key)
        bits = words[i % 128 // 32] >> (16 * (i % 128 // 16 % 2)) & 0xFFFF
        assert kept[i].item() == (bits >= round(0.3 * 2**16))


@both_ways
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_as_many_are_dropped_as_p_says_and_the_others_scaled(made, kind, p):
    torch.manual_seed(0)
    n = 400_000
    x = torch.full((n,), 3.0, dtype=kind).requires_grad_()
    out = made(p)(x)
    share = (out == 0).double().mean().item()
    assert abs(share - p) < 4 * (p * (1 - p) / n) ** 0.5  # standard deviations of the binomial
    scaled = out[out != 0].detach().float()
    torch.testing.assert_close(
        scaled, torch.full_like(scaled, 3 / (1 - p)), rtol=4e-3 if kind == torch.bfloat16 else 1e-4, atol=0
    )
    neighbours = ((out[1:] == 0) & (out[:-1] == 0)).double().mean().item()
    assert neighbours == pytest.approx(p * p, abs=5e-3)


@needs_compiler
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, -3.0])
def test_what_is_dropped_is_multiplied_by_0_as_torch_does(value, kind):
    kernels, x = DROPOUT_KERNELS.loaded, torch.full((301,), value, dtype=kind)
    factors = dropped(kernels, torch.ones(301, dtype=kind), 0.5, 3)  # 0 or 2
    assert set(factors.tolist()) == {0.0, 2.0}
    torch.testing.assert_close(dropped(kernels, x, 0.5, 3), x * factors, rtol=0, atol=0, equal_nan=True)


@both_ways
def test_backward_drops_what_forward_dropped(made):
    x = torch.randn(100, 77).requires_grad_()
    out = made(0.4)(x)
    (gradient,) = torch.autograd.grad(out, x, torch.ones_like(out), create_graph=True)
    torch.testing.assert_close(gradient.detach() * x.detach(), out.detach(), rtol=1e-6, atol=0)
    assert 0.35 < (gradient == 0).double().mean() < 0.45


@both_ways
def test_masks_follow_torchs_seed_and_differ_from_call_to_call(made):
    layer, x = made(0.5), torch.ones(5000, requires_grad=True)
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        found.append([layer(x), layer(x)])
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert not torch.equal(found[0][0], found[0][1])


@needs_compiler
def test_the_mask_depends_neither_on_threads_nor_on_addresses():
    before, x = torch.get_num_threads(), torch.randn(2**18 + 3)
    expected = dropped(DROPOUT_KERNELS.loaded, x, 0.2, 5)
    try:
        for threads, off in ((1, 1), (2, 0), (3, 7)):
            torch.set_num_threads(threads)
            moved = torch.empty(len(x) + off)[off:].copy_(x)
            assert torch.equal(dropped(DROPOUT_KERNELS.loaded, moved, 0.2, 5), expected)
    finally:
        torch.set_num_threads(before)


@both_ways
def test_in_train_mode_the_same_is_dropped_with_and_without_gradients(made):
    layer, x, found = made(0.5), torch.ones(5000), []
    for learns in (True, False):
        torch.manual_seed(0)
        with torch.set_grad_enabled(learns):
            found.append(layer(x.requires_grad_(learns)))
    assert torch.equal(*found)


@both_ways
@pytest.mark.parametrize(
    ("p", "n", "kind", "train"),
    [
        (0.0, 10_000, torch.float32, True),
        (1.0, 10_000, torch.float32, True),
        (0.5, WORTH_A_CALL - 1, torch.float32, True),
        (0.5, 10_000, torch.float64, True),
        (0.5, 10_000, torch.float32, False),
    ],
)
def test_what_is_no_training_step_of_some_size_is_torchs(made, p, n, kind, train):
    x, found = torch.ones(n, dtype=kind, requires_grad=True), []
    for layer in (made(p), torch.nn.Dropout(p)):
        torch.manual_seed(1)
        found.append(layer.train(train)(x))
    assert torch.equal(*found)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("n", [1, 4, 5003])
@pytest.mark.parametrize("p", [1e-9, 2e-5, 0.1, 0.5, 0.99999, 1 - 1e-9])
def test_without_the_kernel_each_value_has_16_bits_of_torchs_generator(p, n, kind):
    levels = min(round(p * 2**16), 2**16 - 1)  # at least one number in 2^16 lets a value stay
    torch.manual_seed(3)
    factors = mask_of(torch.empty(1, n, dtype=kind), p)[0]
    torch.manual_seed(3)
    for number in range(-(-n // 4)):
        drawn = int(torch.empty((), dtype=torch.int64).random_(-(2**63), None))
        for place in range(min(4, n - 4 * number)):
            bits = (drawn >> 16 * place) % 2**16
            signed = bits - 2**16 if bits >= 2**15 else bits
            stays = signed >= levels - 2**15
            expected = torch.tensor(stays / (1 - levels / 2**16), dtype=kind)
            assert factors[4 * number + place] == expected


def test_maps_that_lie_turned_in_memory_are_dropped_value_by_value():
    x = torch.randn(16, 8, 64).transpose(1, 2).requires_grad_()
    torch.manual_seed(0)
    out = Dropout(0.3)(x)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    torch.manual_seed(0)
    assert torch.equal(gradient, mask_of(torch.empty(x.shape), 0.3))
    assert torch.equal(out, x * gradient)
