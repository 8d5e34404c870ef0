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
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert after == 3


class Product(torch.nn.Module):
    """Multiplies by a weight (3, 2), and notes the threads of its forward and of each backward."""

    def __init__(self, learns=True, kind=torch.float32):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3, 2, dtype=kind), requires_grad=learns)
        self.threads = []

    def forward(self, x):
        self.threads.append(torch.get_num_threads())
        output = x @ self.weight
        if output.requires_grad:
            output.register_hook(lambda gradient: self.threads.append(torch.get_num_threads()))
        return output


def threads_of(layer, x, passes=1):
    output = in_one_thread(layer, x, layer)
    assert torch.get_num_threads() == 3
    for _ in range(passes if output.requires_grad else 0):
        output.sum().backward(retain_graph=True)
    return layer.threads


def test_both_ways_are_gone_by_one_thread_however_often():
    layer, x = Product(), torch.randn(4, 3)
    assert threads_of(layer, x, passes=2) == [1, 1, 1]
    assert torch.allclose(layer.weight.grad, 2 * x.sum(dim=0)[:, None].expand(3, 2))


def test_what_learns_nothing_goes_pytorchs_way():
    with torch.no_grad():
        assert threads_of(Product(), torch.randn(4, 3)) == [3]
    assert threads_of(Product(learns=False), torch.randn(4, 3)) == [3]


def test_an_input_with_a_gradient_goes_pytorchs_way():
    layer, x = Product(), torch.randn(4, 3, requires_grad=True)
    assert threads_of(layer, x) == [3, 3]
    assert torch.allclose(x.grad, layer.weight.sum(dim=1).expand(4, 3))


@pytest.mark.parametrize("hooked", ["weight", "before", "behind"])
def test_a_hook_is_called_once_and_sees_the_graph_of_the_model(hooked):
    layer, x, kept = Product(), torch.randn(4, 3), []
    if hooked == "weight":
        layer.weight.register_hook(lambda gradient: 2 * gradient)
    elif hooked == "before":
        layer.register_forward_pre_hook(lambda module, given: None)
    else:
        layer.register_forward_hook(lambda module, given, output: kept.append(output))
    loss = in_one_thread(layer, x, layer).sum() + sum(output.sum() for output in kept)
    loss.backward()
    times = 1 if hooked == "before" else 2
    assert torch.allclose(layer.weight.grad, times * x.sum(dim=0)[:, None].expand(3, 2))
    assert layer.threads == [3, 3]


def test_weights_that_do_not_learn_have_no_gradient():
    layer, x = Product(), torch.randn(4, 3)
    layer.stays = torch.nn.Parameter(torch.randn(3, 2), requires_grad=False)
    in_one_thread(lambda x: x @ (layer.weight * layer.stays), x, layer).sum().backward()
    assert layer.stays.grad is None
    assert torch.allclose(layer.weight.grad, x.sum(dim=0)[:, None] * layer.stays)


def test_gradients_have_gradients():
    layer, x = Product(kind=torch.float64), torch.randn(4, 3, dtype=torch.float64)

    def output(weight):
        return in_one_thread(lambda x: layer(x).tanh(), x, layer)

    assert torch.autograd.gradcheck(output, (layer.weight,))
    assert torch.autograd.gradgradcheck(output, (layer.weight,))
    assert 1 in layer.threads


def test_what_fails_leaves_the_threads_as_they_were():
    with pytest.raises(RuntimeError, match="no memory"), one_thread():
        raise RuntimeError("no memory")
    layer = Product()
    with pytest.raises(RuntimeError, match="shapes"):
        in_one_thread(layer, torch.randn(4, 5), layer)


@pytest.mark.parametrize("bf16", [False, pytest.param(True, marks=needs_bf16)], ids=["float32", "bf16"])
@pytest.mark.parametrize("changed", [{}, {"dimension_shuffle": True}, {"lengths": True}], ids=str)
def test_lstm_fcn_has_the_embeddings_and_gradients_of_threads_that_share(monkeypatch, changed, bf16):
    """To rounding: sums over other numbers of threads end otherwise. Masks of dropout are the same."""
    lengths = torch.tensor([9, 3, 12, 12, 1]) if "lengths" in changed else None
    settings = LSTM_FCN | {key: value for key, value in changed.items() if key != "lengths"}
    torch.manual_seed(0)
    ours = build_backbone("lstm_fcn", settings, 3, 12)
    plain, x = copy.deepcopy(ours), torch.randn(5, 3, 12)
    threads, found, forward = [], [], ours.lstm.forward
    ours.lstm.forward = lambda *given: threads.append(torch.get_num_threads()) or forward(*given)
    for backbone in (ours, plain):
        if backbone is plain:
            monkeypatch.setattr(lstm_fcn, "in_one_thread", lambda compute, x, layer: compute(x))
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


class NotingLSTM(torch.nn.LSTM):
    """Notes the threads of each pass."""

    def forward(self, *given):
        self.threads = torch.get_num_threads()
        return super().forward(*given)


@pytest.mark.parametrize("lengths", [None, [20, 3, 7, 20, 1, 11]], ids=["equal", "unequal"])
def test_an_lstm_has_the_bits_that_it_has_by_itself(lengths):
    torch.manual_seed(0)
    layer, x, found = NotingLSTM(4, 8, num_layers=2, batch_first=True), torch.randn(6, 20, 4), []

    def last_state(x):
        given = x if lengths is None else pack_padded_sequence(x, torch.tensor(lengths), True, enforce_sorted=False)
        return layer(given)[1][0]

    for way, threads in ((lambda x: in_one_thread(last_state, x, layer), 1), (last_state, 3)):
        layer.zero_grad()
        state = way(x)
        state.square().sum().backward()
        assert layer.threads == threads
        found.append([state.detach(), *(weight.grad.clone() for weight in layer.parameters())])
    assert all(torch.equal(own, right) for own, right in zip(*found, strict=True))
