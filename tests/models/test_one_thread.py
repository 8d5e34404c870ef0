"""What computes in one thread gives PyTorch's outputs and gradients, and leaves the number of threads as it was."""

import copy

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from tests.processor import needs_bf16
from tsmtl.models import lstm_fcn
from tsmtl.models.one_thread import in_one_thread, one_thread
from tsmtl.models.precision import embed_in_bf16
from tsmtl.models.registry import build_backbone

LSTM_FCN = {
    "num_layers": 2,
    "lstm_drop_out": 0.5,
    "fc_drop_out": 0.2,
    "lstm_hidden_size": 5,
    "conv_channels": [6, 16, 4],
    "kernel_sizes": [4, 3, 3],
    "squeeze_excite": True,
    "dimension_shuffle": False,
    "readout": "mean",
}


@pytest.fixture(autouse=True)
def three():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


def threads_of(x, weight, passes=1):
    """Give the threads of forward and of each backward, of a product that notes them."""
    seen = []

    def product(x):
        seen.append(torch.get_num_threads())
        output = x @ weight
        if output.requires_grad:
            output.register_hook(lambda gradient: seen.append(torch.get_num_threads()))
        return output

    output = in_one_thread(product, x, [weight])
    assert torch.get_num_threads() == 3
    for _ in range(passes if output.requires_grad else 0):
        output.sum().backward(retain_graph=True)
    return seen


def test_both_ways_are_gone_by_one_thread_however_often():
    x, weight = torch.randn(4, 3), torch.randn(3, 2, requires_grad=True)
    assert threads_of(x, weight, passes=2) == [1, 1, 1]
    assert torch.allclose(weight.grad, 2 * x.sum(dim=0)[:, None].expand(3, 2))


def test_so_is_a_pass_without_gradients():
    x, weight = torch.randn(4, 3), torch.randn(3, 2, requires_grad=True)
    with torch.no_grad():
        assert threads_of(x, weight) == [1]
    assert threads_of(x, weight.detach()) == [1]


def test_an_input_with_a_gradient_goes_pytorchs_way():
    x, weight = torch.randn(4, 3, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    assert threads_of(x, weight) == [3, 3]
    assert torch.allclose(x.grad, weight.sum(dim=1).expand(4, 3))


def test_weights_that_do_not_learn_have_no_gradient():
    x, learns, stays = torch.randn(4, 3), torch.randn(3, 2, requires_grad=True), torch.randn(3, 2)
    in_one_thread(lambda x: x @ (learns * stays), x, [stays, learns]).sum().backward()
    assert stays.grad is None
    assert torch.allclose(learns.grad, x.sum(dim=0)[:, None] * stays)


def test_gradients_have_gradients():
    x, weight = torch.randn(4, 3, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64, requires_grad=True)

    def output(weight):
        return in_one_thread(lambda x: (x @ weight).tanh(), x, [weight])

    assert torch.autograd.gradcheck(output, (weight,))
    assert torch.autograd.gradgradcheck(output, (weight,))


def test_what_fails_leaves_the_threads_as_they_were():
    with pytest.raises(RuntimeError, match="no memory"), one_thread():
        raise RuntimeError("no memory")
    weight = torch.randn(3, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="shapes"):
        in_one_thread(lambda x: x @ weight, torch.randn(4, 5), [weight])


@pytest.mark.parametrize("bf16", [False, pytest.param(True, marks=needs_bf16)], ids=["float32", "bf16"])
@pytest.mark.parametrize("changed", [{}, {"dimension_shuffle": True}, {"lengths": True}], ids=str)
def test_lstm_fcn_has_the_embeddings_and_gradients_of_threads_that_share(monkeypatch, changed, bf16):
    """To rounding: sums over other numbers of threads end otherwise. Masks of dropout are the same."""
    lengths = torch.tensor([9, 3, 12, 12, 1]) if "lengths" in changed else None
    settings = LSTM_FCN | {key: value for key, value in changed.items() if key != "lengths"}
    torch.manual_seed(0)
    ours = build_backbone("lstm_fcn", settings, 3, 12)
    plain, x = copy.deepcopy(ours), torch.randn(5, 3, 12)
    threads = []
    ours.lstm.register_forward_pre_hook(lambda *given: threads.append(torch.get_num_threads()))
    found = []
    for backbone in (ours, plain):
        if backbone is plain:
            monkeypatch.setattr(lstm_fcn, "in_one_thread", lambda compute, x, weights: compute(x))
        torch.manual_seed(1)
        if bf16:
            embedding = embed_in_bf16(backbone, x, lengths)
        else:
            embedding = backbone(x) if lengths is None else backbone(x, lengths)
        embedding.square().sum().backward()
        found.append([embedding.detach(), *(weight.grad for weight in backbone.parameters())])
    assert threads == [1]
    names = ["embedding", *(name for name, _ in ours.named_parameters())]
    for name, own, right in zip(names, *found, strict=True):
        assert (own - right).norm() <= (2e-2 if bf16 else 1e-5) * (1e-3 + right.norm()), name


def state_and_gradients(layer, given, serial):
    """Give the last states and the weights' gradients; one thread of three, or all of one."""

    def last_state(x):
        return layer(given)[1][0]

    layer.zero_grad()
    torch.set_num_threads(3 if serial else 1)
    state = in_one_thread(last_state, torch.empty(0), list(layer.parameters())) if serial else last_state(given)
    state.square().sum().backward()
    torch.set_num_threads(3)
    return [state.detach(), *(weight.grad.clone() for weight in layer.parameters())]


@pytest.mark.parametrize("lengths", [None, [20, 3, 7, 20, 1, 11]], ids=["equal", "unequal"])
def test_an_lstm_has_the_bits_that_it_has_where_there_is_one_thread(lengths):
    torch.manual_seed(0)
    layer, x = torch.nn.LSTM(4, 8, num_layers=2, batch_first=True), torch.randn(6, 20, 4)
    given = x if lengths is None else pack_padded_sequence(x, torch.tensor(lengths), True, enforce_sorted=False)
    ours, alone = (state_and_gradients(layer, given, serial) for serial in (True, False))
    assert all(torch.equal(own, right) for own, right in zip(ours, alone, strict=True))
