"""Convolutions that train with the channels of a step side by side, against those of torch."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tsmtl.models import convolution_gpu
from tsmtl.models.convolution import MANY, Convolution


def convolution(channels: int = 5, kernel: int = 4, **changes: int) -> Convolution:
    torch.manual_seed(0)
    return Convolution(channels, 6, kernel, **changes)


def series(n: int = 3, channels: int = 5, t: int = 11) -> Tensor:
    return torch.randn(n, channels, t, generator=torch.Generator().manual_seed(1))


def side_by_side(maps: Tensor) -> bool:
    return maps.stride(1) == 1


@pytest.mark.parametrize("channels", [1, 5, 16, 33])
@pytest.mark.parametrize("changes", [{}, {"kernel": 1}, {"stride": 2, "padding": 3}, {"kernel": 8, "padding": 3}])
@pytest.mark.parametrize("n", [1, 3])
def test_outputs_and_gradients_of_a_training_step_are_those_of_torch(channels, changes, n):
    layer = convolution(channels, **changes)
    found = []
    for torchs in (False, True):
        x = series(n, channels).requires_grad_()
        stride, padding = changes.get("stride", 1), changes.get("padding", 0)
        maps = F.conv1d(x, layer.weight, None, stride, padding) if torchs else layer(x)
        outer = torch.randn(maps.shape, generator=torch.Generator().manual_seed(2))
        found.append([maps, *torch.autograd.grad(maps, [x, layer.weight], outer)])
        assert side_by_side(maps) == (not torchs and channels > 1)  # one channel has but one order, which is torch's
    for ours, its in zip(*found, strict=True):
        assert ours.shape == its.shape
        assert (ours - its).norm() <= 2e-6 * its.norm()


def test_a_weight_and_its_gradient_lie_as_those_of_torch():
    layer = convolution()
    layer(series()).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.stride() == layer.weight.stride() == (20, 4, 1)


@pytest.mark.parametrize("channels", [5, 33])
def test_many_series_outside_of_training_steps_have_their_channels_side_by_side_too(channels):
    layer, x = convolution(channels).eval(), series(MANY, channels)
    with torch.no_grad():
        maps, torchs = layer(x), F.conv1d(x, layer.weight)
        assert side_by_side(maps)
        assert (maps - torchs).norm() <= 2e-6 * torchs.norm()
        assert not side_by_side(layer(x[1:]))


@pytest.mark.parametrize("channels", [5, 33])
def test_few_series_and_double_precision_take_torchs_order_with_its_numbers(channels):
    layer, x = convolution(channels), series(MANY - 1, channels)
    expected = F.conv1d(x, layer.weight)
    with torch.no_grad():
        assert torch.equal(layer(x), expected)
    many = series(MANY, channels).double()
    assert torch.equal(layer.double()(many), F.conv1d(many, layer.weight))
    layer.float().eval()
    assert torch.equal(layer(x), expected)
    assert not side_by_side(layer(x))


@pytest.mark.parametrize("recorded", [False, True])
def test_a_gpu_in_float32_has_a_way_of_its_own_for_many_series_and_recorded_steps(monkeypatch, recorded):
    """A CPU stands for it: the way is the same there, but for who is asked whether it is taken."""
    monkeypatch.setattr("tsmtl.models.convolution.exact_on_gpu", lambda x: True)
    layer, theirs = convolution(kernel=3, padding=1), "ConvolveOnGPUBackward"
    for n, many in ((3, False), (convolution_gpu.MANY // 11, False), (convolution_gpu.MANY // 11 + 1, True)):
        with convolution_gpu.recorded_steps() if recorded else nullcontext():
            maps = layer(series(n))
        assert (type(maps.grad_fn).__name__ == theirs) == (recorded or many)
    with torch.no_grad():
        assert torch.equal(layer(series(n)), F.conv1d(series(n), layer.weight, padding=1))
    assert type(layer.eval()(series(n)).grad_fn).__name__ != theirs


def test_a_gpus_switches_are_not_asked_for_in_what_is_compiled(monkeypatch):
    """A compiler does not follow how they are read, nor who says that steps are recorded."""
    exact = lambda x: torch.backends.cuda.matmul.fp32_precision != "tf32"  # noqa: E731
    monkeypatch.setattr("tsmtl.models.convolution.exact_on_gpu", exact)
    layer, x = convolution(kernel=3, padding=1), series(3)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x))
