"""Under ``torch.func`` and forward-mode differentiation every way of our own gives way to PyTorch's operations."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap

from tests.conftest import needs_compiler
from tests.models.conftest import C, T
from tests.models.gru_ways import layers, series
from tsmtl.models.gru_layers import GRULayers
from tsmtl.models.kernels import train_natively
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.transformed import transformed

# PyTorch compiles what forward mode needs by what it calls deprecated itself.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
KERNELS = pytest.mark.parametrize("kernels", ["torch", pytest.param("native", marks=needs_compiler)])


def gru(kernels: str) -> GRULayers:
    made = layers(torch.float32)
    if kernels == "native":
        train_natively(made)
    return made


def loss_of(model: nn.Module) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    """Give a function of weights and series."""

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(model, weights, (x,))[0].square().sum()

    return loss


@KERNELS
def test_a_gru_is_transformed_as_the_stock_layer(kernels):
    stock = nn.GRU(3, 5, 2, batch_first=True, bidirectional=True)
    ours, x = gru(kernels), series(4, 9, dtype=torch.float32)
    stock.load_state_dict(ours.state_dict())
    found = []
    for rnn in (ours, stock):
        weights, loss = dict(rnn.named_parameters()), loss_of(rnn)
        value, along = jvp(lambda x, loss=loss, weights=weights: loss(weights, x), (x,), (x.cos(),))
        with forward_ad.dual_level():
            dual = rnn(forward_ad.make_dual(x, x.cos()))[0]
            tangent = forward_ad.unpack_dual(dual).tangent
        found.append([value, along, tangent, *grad(loss)(weights, x).values()])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@KERNELS
@pytest.mark.parametrize("model", ["cnn1d", "lstm_fcn", "gru"])
def test_functional_gradients_of_a_model_in_train_mode_are_those_of_backward(build, model, kernels, monkeypatch):
    monkeypatch.setattr("tsmtl.models.joint_heads.WIDE", 1)
    changes = {"lstm_drop_out": 0.0, "fc_drop_out": 0.0} if model == "lstm_fcn" else {"dropout": 0.0}
    whole = MultiTaskModel(build(model, **changes), {"cls": 3, "reg": 1}).train()
    if kernels == "native":
        train_natively(whole)
    x, weights = torch.randn(6, C, T), dict(whole.named_parameters())

    def loss(weights: dict[str, Tensor]) -> Tensor:
        buffers = {name: buffer.clone() for name, buffer in whole.named_buffers()}  # a transform changes none in place
        outputs = functional_call(whole, {**weights, **buffers}, (x,))
        return outputs["cls"].sin().sum() + outputs["reg"].square().sum()

    expected = torch.autograd.grad(loss(weights), list(weights.values()))
    for (name, ours), its in zip(grad(loss)(weights).items(), expected, strict=True):
        assert (ours - its).norm() <= 1e-4 * (its.norm() + 1), name


def test_transforms_are_seen_while_they_last():
    seen = []

    def look(x: Tensor) -> Tensor:
        seen.append(transformed())
        return x.sum()

    x = torch.ones(2, 2)
    grad(look)(x), vmap(look)(x), jvp(look, (x,), (x,))
    with forward_ad.dual_level():
        look(x)
    assert seen == [True] * 4
    assert not transformed()
