"""Dropout by the native kernel: the masks that the random numbers say, of the right size, and torch's rules."""

import copy

import pytest
import torch

from tests.conftest import needs_compiler
from tsmtl.models.dropout import DROPOUT_KERNELS, WORTH_A_CALL, Dropout, dropped, philox, torchs_mask
from tsmtl.models.kernels import train_natively


def native(p: float) -> Dropout:
    made = Dropout(p)
    train_natively(made)
    return made


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


@needs_compiler
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_as_many_are_dropped_as_p_says_and_the_others_scaled(kind, p):
    torch.manual_seed(0)
    n = 400_000
    x = torch.full((n,), 3.0, dtype=kind).requires_grad_()
    out = native(p)(x)
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


@needs_compiler
def test_backward_drops_what_forward_dropped():
    x = torch.randn(100, 77).requires_grad_()
    out = native(0.4)(x)
    (gradient,) = torch.autograd.grad(out, x, torch.ones_like(out), create_graph=True)
    torch.testing.assert_close(gradient.detach() * x.detach(), out.detach(), rtol=1e-6, atol=0)
    assert 0.35 < (gradient == 0).double().mean() < 0.45


@needs_compiler
def test_masks_follow_torchs_seed_and_differ_from_call_to_call():
    layer, x = native(0.5), torch.ones(5000, requires_grad=True)
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


@needs_compiler
def test_in_train_mode_the_same_is_dropped_with_and_without_gradients():
    layer, x, found = native(0.5), torch.ones(5000), []
    for learns in (True, False):
        torch.manual_seed(0)
        with torch.set_grad_enabled(learns):
            found.append(layer(x.requires_grad_(learns)))
    assert torch.equal(*found)


@needs_compiler
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
def test_what_is_no_training_step_of_some_size_is_torchs(p, n, kind, train):
    ours, x = native(p).train(train), torch.ones(n, dtype=kind, requires_grad=True)
    theirs = copy.deepcopy(ours)
    theirs.native = False
    found = []
    for layer in (ours, theirs):
        torch.manual_seed(1)
        found.append(layer(x))
    assert torch.equal(*found)


@pytest.mark.parametrize("order", [torch.Tensor.contiguous, lambda x: x.transpose(1, 2)], ids=["in order", "turned"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("p", [1e-9, 0.1, 0.3, 0.5, 0.999])
def test_without_the_kernel_values_and_generator_are_those_of_torch_to_the_last_bit(p, kind, order, monkeypatch):
    found, drawn = [], []
    monkeypatch.setattr("tsmtl.models.dropout.torchs_mask", lambda *given: (drawn.append(1), torchs_mask(*given))[1])
    for layer in (torch.nn.Dropout(p), Dropout(p)):
        x = torch.randn(WORTH_A_CALL, generator=torch.Generator().manual_seed(1)).to(kind)
        x = order(x.view(16, 8, -1)).requires_grad_()
        torch.manual_seed(0)
        out = layer(x)
        found.append([out, *torch.autograd.grad((out**2).sum(), x), torch.get_rng_state()])
    assert bool(drawn) == (kind is not torch.float64)
    for torchs, ours in zip(*found, strict=True):
        assert torch.equal(ours, torchs)
