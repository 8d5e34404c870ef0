"""The way through a GRU by native kernels, against torch's and against ``nn.GRU`` in double precision."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.conftest import needs_compiler
from tests.models.damaged import Damaged
from tests.models.gru_ways import all_of, assert_close, graph, layers, packed, series
from tsmtl.models import gru_native, gru_steps
from tsmtl.models.gru_layers import GRULayers
from tsmtl.models.kernels import kernels_of, train_natively
from tsmtl.native import NativeError

pytestmark = needs_compiler
FROM_TORCH, FROM_EXACT = 1e-5, 1e-6  # relative to the norm: of torch's way in single precision, of nn.GRU in double


def native_layers(**changes):
    rnn = layers(torch.float32, **changes)
    train_natively(rnn)
    return rnn


def in_torch(rnn: GRULayers) -> GRULayers:
    plain = copy.deepcopy(rnn)
    plain.native = False
    return plain


def exact(rnn: GRULayers, x: Tensor, lengths: list[int] | None) -> dict[str, Tensor]:
    """What ``nn.GRU`` gives of the same numbers in double precision."""
    found = all_of(nn.GRU.forward, in_torch(rnn).double(), x.double(), lengths)
    return {name: tensor.float() for name, tensor in found.items()}


def natively(rnn: GRULayers, x) -> bool:
    return any("NativeGRUSteps" in node.name() for node in graph(rnn(x)[1]))


@pytest.mark.parametrize("lengths", [None, [37, 2, 19, 1, 37, 5, 6, 30, 31, 37, 7, 8, 21]])
@pytest.mark.parametrize("hidden", [5, 20, 64, 100])
@pytest.mark.parametrize("c", [1, 9])
def test_outputs_and_gradients_are_those_of_torch_and_of_double_precision(lengths, hidden, c):
    rnn = native_layers(input_size=c, hidden_size=hidden)
    x = series(13, 37, c, torch.float32)
    ours = all_of(GRULayers.__call__, rnn, x, lengths)
    assert natively(rnn, packed(x, lengths))
    assert_close(ours, all_of(GRULayers.__call__, in_torch(rnn), x, lengths), FROM_TORCH)
    assert_close(ours, exact(rnn, x, lengths), FROM_EXACT)


@pytest.mark.parametrize("changes", [{}, {"bidirectional": False}, {"num_layers": 1}, {"num_layers": 3}])
def test_directions_and_layers(changes):
    rnn = native_layers(**changes)
    x = series(6, 40, dtype=torch.float32)
    assert_close(all_of(GRULayers.__call__, rnn, x, None), exact(rnn, x, None), FROM_EXACT)


def test_the_defaults_of_the_model_draw_the_dropout_of_torch():
    rnn = native_layers(input_size=9, hidden_size=64, dropout=0.1)
    x = series(16, 128, 9, torch.float32)
    ours = all_of(GRULayers.__call__, rnn, x, None)
    assert_close(ours, all_of(nn.GRU.forward, rnn, x, None), FROM_TORCH)


def test_in_long_series_it_is_as_near_to_double_precision_as_the_stock_layer():
    rnn = native_layers(input_size=9, hidden_size=64)
    x = series(64, 128, 9, torch.float32)
    known = exact(rnn, x, None)

    def furthest(found: dict[str, Tensor]) -> float:
        return max(((found[name] - known[name]).norm() / known[name].norm()).item() for name in known)

    ours, stock = all_of(GRULayers.__call__, rnn, x, None), all_of(nn.GRU.forward, in_torch(rnn), x, None)
    assert furthest(ours) < 1.3 * furthest(stock) < 3e-6


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    c=st.integers(1, 4),
    hidden=st.integers(1, 70),
    num_layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    chunk_rows=st.sampled_from([1, 7, 1024]),
    size=st.sampled_from([1e-3, 1.0]),
)
def test_any_shape_any_lengths_and_small_inputs(data, c, hidden, num_layers, bidirectional, chunk_rows, size):
    lengths = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=19))
    padded = data.draw(st.booleans())
    rnn = native_layers(input_size=c, hidden_size=hidden, num_layers=num_layers, bidirectional=bidirectional)
    x = size * series(len(lengths), max(lengths), c, torch.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gru_steps, "CHUNK_ROWS", chunk_rows)
        ours = all_of(GRULayers.__call__, rnn, x, None if padded else lengths)
    assert_close(ours, exact(rnn, x, None if padded else lengths), FROM_TORCH, each=2e-7)  # of few units: 1 - z


def test_gates_that_are_shut_and_numbers_that_are_not_finite_come_through():
    rnn = native_layers(num_layers=1)
    x = series(3, 4, dtype=torch.float32)
    x[1] = 1e4  # every gate at an end
    assert_close(all_of(GRULayers.__call__, rnn, x, None), exact(rnn, x, None), FROM_TORCH)
    x[0, 1], x[2] = float("nan"), float("inf")
    output, last = rnn(x)
    expected, _ = nn.GRU.forward(rnn, x)
    assert torch.equal(output.isnan(), expected.isnan())
    assert last.isnan().any()


@pytest.mark.parametrize("read", ["states", "last"])
def test_what_is_not_read_of_the_outputs_has_no_gradient(read):
    rnn, x = native_layers(), series(4, 9, dtype=torch.float32)
    gradients = []
    for layer in (rnn, in_torch(rnn)):
        output, last = layer(x)
        gradients.append(torch.autograd.grad((output if read == "states" else last).square().sum(), layer.parameters()))
    for ours, torchs in zip(*gradients, strict=True):
        assert (ours - torchs).norm() <= FROM_TORCH * torchs.norm()


def test_several_losses_go_back_through_one_graph():
    rnn, x = native_layers(), series(4, 9, dtype=torch.float32)
    _, last = rnn(x)
    first = torch.autograd.grad(last.square().sum(), rnn.parameters(), retain_graph=True)
    torch.autograd.grad(last.sin().sum(), rnn.parameters(), retain_graph=True)
    again = torch.autograd.grad(last.square().sum(), rnn.parameters())
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))


@pytest.mark.parametrize("lengths", [None, [3, 1]])
def test_gradients_of_gradients_are_those_of_the_stock_layer(lengths):
    rnn, x = native_layers(), series(2, 3, dtype=torch.float32).requires_grad_()
    found = []
    for way in (GRULayers.__call__, nn.GRU.forward):
        _, last = way(rnn, packed(x, lengths))
        (gradient,) = torch.autograd.grad(last.square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), [x, *rnn.parameters()]))
    for ours, stock in zip(*found, strict=True):
        torch.testing.assert_close(ours, stock, rtol=1e-4, atol=1e-6)


def test_weights_that_do_not_lie_together_are_read_as_they_are():
    rnn = native_layers(hidden_size=20)
    x = series(4, 9, dtype=torch.float32)
    expected = all_of(GRULayers.__call__, rnn, x, None)
    for name, weight in [*rnn.named_parameters()]:
        if weight.dim() == 2:
            setattr(rnn, name, nn.Parameter(weight.detach().t().contiguous().t()))
            assert not getattr(rnn, name).is_contiguous()
    assert_close(all_of(GRULayers.__call__, rnn, x, None), expected, FROM_TORCH)


def test_the_same_numbers_give_the_same_bits():
    rnn, x = native_layers(hidden_size=20), series(13, 37, dtype=torch.float32)
    one, two = (all_of(GRULayers.__call__, rnn, x, None) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_training_steps_in_single_precision_alone_take_native_kernels():
    rnn, x = native_layers(), series(2, 3, dtype=torch.float32)
    assert kernels_of(rnn) == "native"
    assert natively(rnn, x)
    assert not natively(rnn.eval(), x)
    assert not natively(copy.deepcopy(rnn).train().double(), x.double())
    with torch.no_grad():
        stock, ours = nn.GRU.forward(rnn.train(), x)[1], rnn(x)[1]
    assert torch.equal(stock, ours)


def test_a_layer_trains_through_torch_unless_it_is_told_otherwise():
    rnn, x = layers(torch.float32), series(2, 3, dtype=torch.float32)
    assert kernels_of(rnn) == "torch"
    assert not natively(rnn, x)


def test_a_model_without_such_layers_says_so():
    with pytest.raises(NativeError, match="no layer of this model has native kernels"):
        train_natively(nn.Linear(2, 2))


def test_older_instruction_sets_give_the_same_numbers(older, tmp_path, monkeypatch):
    kernels = gru_native.GRU_KERNELS
    monkeypatch.setattr(kernels, "_found", None)
    rnn = native_layers(hidden_size=20)
    (library,) = (tmp_path / "tsmtl").glob("*.so")
    assert "avx512" not in library.name
    assert ("avx2" in library.name) == ("avx2" in older)
    x, lengths = series(13, 37, dtype=torch.float32), [37, 2, 19, 1, 37, 5, 6, 30, 31, 37, 7, 8, 21]
    assert_close(all_of(GRULayers.__call__, rnn, x, lengths), exact(rnn, x, lengths), FROM_EXACT)


@pytest.mark.parametrize("damaged", ["gru_read", "gru_go_back"])
def test_the_check_finds_kernels_that_give_other_numbers(damaged):
    kernels = gru_native.GRU_KERNELS.loaded
    assert gru_native._check(kernels) is None
    torch.use_deterministic_algorithms(True)  # fills new memory with NaN, where the right numbers of before might lie
    try:
        assert "is off by" in gru_native._check(Damaged(kernels, damaged, lambda right, *given: None))
    finally:
        torch.use_deterministic_algorithms(False)
