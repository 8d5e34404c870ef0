"""Heads that read a wide embedding together: what each would give by itself."""

import pytest
import torch
from torch import Tensor, nn

from tsmtl.models.backbone import Backbone
from tsmtl.models.joint_heads import WIDE, JointHeads, read_jointly
from tsmtl.models.multitask import MultiTaskModel

N = 8


class Wide(Backbone):
    """Gives vectors as they are."""

    def __init__(self, embed_dim: int = WIDE // N) -> None:
        super().__init__()
        self.embed_dim = embed_dim

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return x


def heads(bias: bool = True, e: int = 12) -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({name: nn.Linear(e, size, bias) for name, size in (("cls", 3), ("reg", 1), ("b", 2))}).double()


def vectors(e: int = 12) -> Tensor:
    return torch.randn(5, e, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients_are_those_of_each_head(bias):
    found = []
    for together in (True, False):
        layers, x = heads(bias), vectors()
        outputs = read_jointly(layers, x) if together else {name: head(x) for name, head in layers.items()}
        loss = sum((output**3).sum() for output in outputs.values())
        found.append([*outputs.values(), *torch.autograd.grad(loss, [x, *layers.parameters()])])
        assert list(outputs) == ["cls", "reg", "b"]
    for ours, its in zip(*found, strict=True):
        torch.testing.assert_close(ours, its, rtol=1e-12, atol=1e-12)


def test_a_head_whose_output_nobody_asks_for_has_no_gradient():
    layers, x = heads(), vectors()
    outputs = read_jointly(layers, x)
    (outputs["cls"].sum() + outputs["b"].sum()).backward()
    assert layers["reg"].weight.grad is None
    assert layers["reg"].bias.grad is None
    expected = layers["cls"].weight.sum(0) + layers["b"].weight.sum(0)
    torch.testing.assert_close(x.grad, expected.expand_as(x))


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_and_those_of_gradients_are_those_of_differences(bias):
    layers, x = heads(bias, 4), vectors(4)
    given = [layer.weight for layer in layers.values()], [layer.bias for layer in layers.values()]
    assert torch.autograd.gradcheck(JointHeads.apply, (x, *given[0], *given[1]))
    assert torch.autograd.gradgradcheck(JointHeads.apply, (x, *given[0], *given[1]))


def test_embeddings_without_a_gradient_leave_the_heads_theirs():
    layers, x = heads(), vectors().detach()
    read_jointly(layers, x)["reg"].sum().backward()
    torch.testing.assert_close(layers["reg"].weight.grad, x.sum(0, keepdim=True))
    assert x.grad is None


def test_training_steps_of_wide_embeddings_alone_are_read_jointly(monkeypatch):
    def joined(model: MultiTaskModel, n: int = N, e: int = WIDE // N) -> bool:
        return "JointHeads" in str(model(torch.randn(n, e))["cls"].grad_fn)

    model = MultiTaskModel(Wide(), {"cls": 3, "reg": 1})
    assert joined(model)
    assert not joined(model, N - 1)
    assert not joined(MultiTaskModel(Wide(), {"cls": 3}))
    assert not joined(model.eval())
    with torch.no_grad():
        assert not joined(model.train())
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    assert not joined(model)
