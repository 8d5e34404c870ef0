"""The convolution of GPUs, whose formulas hold on a CPU too, against torch's; tests/test_gpu.py has it on a GPU."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F

from tsmtl.models import convolution_gpu
from tsmtl.models.convolution_gpu import ConvolveOnGPU

SIDES = [(1, 0), (1, 3), (2, 0), (3, 2)]


@pytest.mark.parametrize("part", [1, 200, 2**24], ids=["one series at a time", "some", "all at once"])
@pytest.mark.parametrize(("stride", "padding"), SIDES)
def test_outputs_and_gradients_are_those_of_torch(monkeypatch, stride, padding, part):
    monkeypatch.setattr(convolution_gpu, "PART", part)
    torch.manual_seed(0)
    x, weight = torch.randn(5, 3, 17, requires_grad=True), torch.randn(4, 3, 4, requires_grad=True)
    theirs = F.conv1d(x, weight, None, stride, padding)
    ours = ConvolveOnGPU.apply(x, weight, stride, padding)
    assert torch.equal(ours, theirs)
    outer = torch.randn_like(theirs)
    found = [torch.autograd.grad(maps, [x, weight], outer) for maps in (ours, theirs)]
    for mine, its in zip(*found, strict=True):
        assert mine.shape == its.shape
        assert (mine - its).norm() <= 2e-6 * its.norm()


@pytest.mark.parametrize(("stride", "padding"), SIDES)
def test_gradients_and_gradients_of_gradients_are_those_of_differences(stride, padding):
    torch.manual_seed(0)
    x = torch.randn(2, 2, 9, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda a, b: ConvolveOnGPU.apply(a, b, stride, padding), (x, weight))
    assert gradgradcheck(lambda a, b: ConvolveOnGPU.apply(a, b, stride, padding), (x, weight))


def test_what_needs_no_gradient_gets_none():
    x, weight = torch.randn(2, 3, 9), torch.randn(4, 3, 2, requires_grad=True)
    ConvolveOnGPU.apply(x, weight, 1, 0).sum().backward()
    assert x.grad is None
    assert weight.grad is not None
