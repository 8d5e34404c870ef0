"""The way through a GRU that trains on a CPU, against that of ``nn.GRU`` with the same weights."""

import copy
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.nn.utils.rnn import PackedSequence

from tests.models.gru_ways import (
    TOLERANCE,
    Input,
    all_of,
    assert_close,
    graph,
    layers,
    packed,
    series,
)
from tsmtl.models import gru_steps
from tsmtl.models.gru_layers import GRULayers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lengths", [None, [9, 2, 40, 17, 1, 40]])
@pytest.mark.parametrize(
    "changes", [{}, {"bidirectional": False}, {"num_layers": 1}, {"num_layers": 3, "dropout": 0.4}]
)
def test_outputs_and_gradients_are_those_of_the_stock_layer(dtype, lengths, changes):
    rnn = layers(dtype, **changes)
    x = series(6, 40, dtype=dtype)
    ours = all_of(GRULayers.__call__, rnn, x, lengths)
    assert_close(ours, all_of(nn.GRU.forward, rnn, x, lengths), TOLERANCE[dtype])


def test_the_defaults_of_the_model_are_within_the_tolerance_in_single_precision():
    rnn = layers(torch.float32, input_size=9, hidden_size=64, dropout=0.1)
    x = series(16, 128, 9, torch.float32)
    ours = all_of(GRULayers.__call__, rnn, x, None)
    assert_close(ours, all_of(nn.GRU.forward, rnn, x, None), TOLERANCE[torch.float32])


@settings(deadline=None, max_examples=40)
@given(
    data=st.data(),
    c=st.integers(1, 4),
    hidden=st.integers(1, 19),
    num_layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    chunk_rows=st.sampled_from([1, 7, 1024]),
)
def test_any_shape_and_any_lengths(data, c, hidden, num_layers, bidirectional, chunk_rows):
    lengths = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=9))
    padded = data.draw(st.booleans())
    rnn = layers(input_size=c, hidden_size=hidden, num_layers=num_layers, bidirectional=bidirectional)
    x = series(len(lengths), max(lengths), c)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gru_steps, "CHUNK_ROWS", chunk_rows)
        ours = all_of(GRULayers.__call__, rnn, x, None if padded else lengths)
    assert_close(ours, all_of(nn.GRU.forward, rnn, x, None if padded else lengths), 1e-6)


@pytest.mark.parametrize("lengths", [None, [3, 1]])
def test_numerical_gradients_agree(lengths):
    rnn = layers(input_size=2, hidden_size=3, num_layers=1)

    def read(x: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        names = [name for name, _ in rnn.named_parameters()]
        state = dict(zip(names, weights, strict=True))
        output, last = torch.func.functional_call(rnn, state, (packed(x, lengths),))
        return (output.data if isinstance(output, PackedSequence) else output), last

    assert gradcheck(read, (series(2, 3, 2).requires_grad_(), *rnn.parameters()))


@pytest.mark.parametrize("read", ["states", "last"])
def test_what_is_not_read_of_the_outputs_has_no_gradient(read):
    rnn, x = layers(), series(4, 9)
    gradients = []
    for way in (GRULayers.__call__, nn.GRU.forward):
        output, last = way(rnn, x)
        gradients.append(torch.autograd.grad((output if read == "states" else last).square().sum(), rnn.parameters()))
    for ours, stock in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, stock, rtol=1e-9, atol=1e-12)


def test_gradients_of_several_losses_through_one_graph_add_up_to_that_of_their_sum():
    rnn, x = layers(), series(4, 9)
    _, last = rnn(x)
    losses = last.square().sum(), last.sin().sum()
    parts = [torch.autograd.grad(loss, rnn.parameters(), retain_graph=True) for loss in losses]
    again = torch.autograd.grad(losses[0], rnn.parameters(), retain_graph=True)
    assert all(torch.equal(one, two) for one, two in zip(parts[0], again, strict=True))
    for whole, *of_losses in zip(torch.autograd.grad(sum(losses), rnn.parameters()), *parts, strict=True):
        torch.testing.assert_close(sum(of_losses), whole, rtol=1e-12, atol=1e-12)


def test_a_batch_builds_one_node_per_layer_however_long_the_series_are():
    rnn = layers()
    nodes = [len(graph(rnn(series(2, t))[1])) for t in (2, 200)]
    assert nodes[0] == nodes[1] < 60


@pytest.mark.parametrize("lengths", [None, [3, 1]])
def test_gradients_of_gradients_are_those_of_the_stock_layer(lengths):
    rnn, x = layers(), series(2, 3).requires_grad_()
    found = []
    for way in (GRULayers.__call__, nn.GRU.forward):
        _, last = way(rnn, packed(x, lengths))
        (gradient,) = torch.autograd.grad(last.square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), [x, *rnn.parameters()]))
    for ours, stock in zip(*found, strict=True):
        torch.testing.assert_close(ours, stock, rtol=1e-9, atol=1e-12)


def test_the_state_dict_goes_both_ways_and_a_copy_learns_apart():
    rnn, stock = layers(dropout=0.3), nn.GRU(3, 5, 2, batch_first=True, dropout=0.3, bidirectional=True).double()
    stock.load_state_dict(rnn.state_dict())
    rnn.load_state_dict(stock.state_dict())
    buffer = io.BytesIO()
    torch.save(rnn.state_dict(), buffer)
    buffer.seek(0)
    assert list(torch.load(buffer, weights_only=True)) == list(stock.state_dict())
    mean = copy.deepcopy(rnn).requires_grad_(False)
    rnn(series(2, 3))[1].sum().backward()
    assert all(weight.grad is not None for weight in rnn.parameters())
    assert all(weight.grad is None for weight in mean.parameters())
    torch.testing.assert_close(mean.eval()(series(2, 3))[1], stock.eval()(series(2, 3))[1])


def test_the_same_seed_gives_the_same_first_weights():
    ours = layers(torch.float32).state_dict()
    torch.manual_seed(0)
    stock = nn.GRU(3, 5, 2, batch_first=True, bidirectional=True).state_dict()
    assert list(ours) == list(stock)
    assert all(torch.equal(ours[name], stock[name]) for name in stock)


def stepwise(rnn: GRULayers, x: Input, hx: Tensor | None = None) -> bool:
    """Whether the layer's own way was taken."""
    return any("GRUSteps" in node.name() for node in graph(rnn(x, hx)[1]))


def test_where_it_does_not_serve_the_stock_way_is_taken():
    rnn, x = layers(), series(2, 3)
    assert stepwise(rnn, x)
    assert stepwise(rnn, packed(x, [2, 3]))
    assert not stepwise(rnn, x, torch.zeros(4, 2, 5, dtype=torch.float64))
    assert not stepwise(rnn, x[0])
    assert not stepwise(GRULayers(3, 5, bias=False, batch_first=True).double(), x)
    assert not stepwise(GRULayers(3, 5, dtype=torch.float64), x)  # time first
    frozen = layers().requires_grad_(False)
    assert not stepwise(frozen, x)
    assert stepwise(frozen, x.requires_grad_())


def test_without_gradients_the_numbers_are_those_of_the_stock_layer_to_the_last_bit():
    rnn, x = layers(torch.float32), series(3, 7, dtype=torch.float32)
    with torch.no_grad():
        for ours, stock in zip(rnn(x), nn.GRU.forward(rnn, x), strict=True):
            assert torch.equal(ours, stock)


def test_wrong_input_is_refused_as_by_the_stock_layer():
    rnn = layers()
    with pytest.raises(RuntimeError, match=r"input.size\(-1\) must be equal to input_size"):
        rnn(series(2, 3, 4))
    with pytest.raises(ValueError, match="does not match weight dtype"):
        rnn(series(2, 3, dtype=torch.float32))


@pytest.mark.parametrize("learning", [True, False])
def test_under_autocast_it_stays_in_the_precision_of_its_weights(learning):
    rnn, x = layers(torch.float32), series(3, 7, dtype=torch.float32)
    with torch.set_grad_enabled(learning):
        expected = rnn(x)[1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = rnn(x)[1]
            half = rnn(x.bfloat16())[1]
    assert torch.equal(found, expected)
    assert half.dtype == torch.float32


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_traced_layer_is_the_stock_one_and_takes_other_lengths():
    rnn = layers().eval()
    traced = torch.jit.trace(rnn, (series(2, 3),), check_trace=False)
    assert "GRUSteps" not in str(traced.graph)
    x = series(4, 8)
    torch.testing.assert_close(traced(x)[1], rnn(x)[1])
