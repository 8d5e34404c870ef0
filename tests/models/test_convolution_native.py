"""Small convolutions by the native kernels, against those of torch and of double precision."""

import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.conftest import needs_compiler
from tests.models.damaged import Damaged
from tsmtl.models import convolution_native
from tsmtl.models.convolution import Convolution
from tsmtl.models.convolution_native import CONVOLUTION_KERNELS, SMALL
from tsmtl.models.kernels import train_natively

pytestmark = needs_compiler
SIZES = [  # n, c, f, t, taps, padding: whole and broken panels and tiles, windows that hang over one end or both
    (2, 5, 6, 11, 4, 0),
    (3, 33, 70, 11, 8, 3),
    (1, 1, 1, 4, 4, 0),
    (3, 7, 9, 3, 5, 2),
    (3, 7, 9, 2, 5, 4),
    (1, 3, 4, 2, 8, 3),
    (9, 3, 33, 1, 1, 0),
    (6, 16, 64, 40, 3, 1),
]


def convolution(c: int = 5, f: int = 6, taps: int = 4, padding: int = 0, stride: int = 1) -> Convolution:
    torch.manual_seed(0)
    return Convolution(c, f, taps, stride, padding)


def natively(layer: Convolution) -> Convolution:
    made = copy.deepcopy(layer)
    train_natively(made)
    return made


def series(n: int = 3, c: int = 5, t: int = 11) -> Tensor:
    return torch.randn(n, c, t, generator=torch.Generator().manual_seed(1))


def all_of(layer: Convolution, x: Tensor) -> list[Tensor]:
    """The maps and the gradients of series and weight."""
    x = x.detach().requires_grad_()
    maps = layer(x)
    outer = torch.randn(maps.shape, generator=torch.Generator().manual_seed(2)).to(maps.dtype)
    return [maps, *torch.autograd.grad(maps, [x, layer.weight], outer)]


def by_kernel(layer: Convolution, x: Tensor) -> bool:
    return "Convolve" in type(layer(x).grad_fn).__name__


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-6) -> None:
    for ours, its in zip(found, expected, strict=True):
        assert ours.shape == its.shape
        assert (ours - its).norm() <= tolerance * its.norm()


@pytest.mark.parametrize(("n", "c", "f", "t", "taps", "padding"), SIZES)
def test_maps_and_gradients_are_those_of_double_precision(n, c, f, t, taps, padding):
    layer, x = convolution(c, f, taps, padding), series(n, c, t)
    assert by_kernel(natively(layer), x)
    assert_close(all_of(natively(layer), x), all_of(copy.deepcopy(layer).double(), x.double()))


def test_the_gradient_of_the_weights_keeps_its_digits_over_many_steps():
    layer, x = convolution(2, 3, 2), series(200, 2, 500)
    assert_close(all_of(natively(layer), x), all_of(copy.deepcopy(layer).double(), x.double()))


def test_channels_of_the_maps_lie_side_by_side_and_those_of_the_series_may_lie_in_any_order():
    layer, x = natively(convolution()), series()
    turned = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert layer(x).stride(1) == 1
    for one, other in zip(all_of(layer, x), all_of(layer, turned), strict=True):
        assert torch.equal(one, other)


def test_the_series_itself_has_no_gradient_unless_it_is_asked_for(monkeypatch):
    layer, called = natively(convolution()), []
    call = convolution_native._call
    monkeypatch.setattr(convolution_native, "_call", lambda *given: (called.append(given[0].__name__), call(*given)))
    layer(series()).sum().backward()
    assert called == ["convolution_forward", "convolution_backward_weight"]


def test_the_bits_depend_neither_on_addresses_nor_on_threads(monkeypatch):
    monkeypatch.setattr(convolution_native, "WORTH_THREADS", 0)
    layer, found, before = natively(convolution(5, 40, 4, 2)), [], torch.get_num_threads()
    try:
        for threads, shift in ((1, 0), (3, 1), (4, 3)):
            torch.set_num_threads(threads)
            x = torch.empty(7 * 5 * 30 + shift)[shift:].view(7, 5, 30).copy_(series(7, 5, 30))
            found.append(all_of(layer, x))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert torch.equal(one, same)


def test_gradients_of_gradients_are_those_of_torch():
    found = []
    for layer in (convolution(padding=1).double(), natively(convolution(padding=1))):
        x = series().to(layer.weight.dtype).requires_grad_()
        (first,) = torch.autograd.grad((layer(x) ** 3).sum(), x, create_graph=True)
        found.append([first, *torch.autograd.grad((first**2).sum(), [x, layer.weight])])
    assert_close(found[1], found[0])


def test_training_steps_of_small_convolutions_alone_take_the_kernel(monkeypatch):
    layer, x = convolution(), series()
    ours = natively(layer)
    assert by_kernel(ours, x)
    assert not by_kernel(layer, x)
    with torch.no_grad():
        assert torch.equal(ours(x), F.conv1d(x, layer.weight))
    assert torch.equal(copy.deepcopy(ours).eval()(x), F.conv1d(x, layer.weight))
    assert not by_kernel(copy.deepcopy(ours).double(), x.double())
    assert not by_kernel(natively(convolution(stride=2)), x)
    assert not by_kernel(natively(convolution(padding=4)), x)
    assert by_kernel(natively(convolution(f=SMALL // 20)), x)
    assert not by_kernel(natively(convolution(f=SMALL // 20 + 1)), x)
    with torch.autocast("cpu", torch.bfloat16):
        assert not by_kernel(ours, x)
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    assert not by_kernel(ours, x)


@pytest.mark.parametrize(
    ("x", "padding"),
    [(series(t=3), 0), (series(c=4), 0), (series(t=0), 3)],
    ids=["short", "other channels", "no steps"],
)
def test_series_that_do_not_fit_are_refused_as_torch_refuses_them(x, padding):
    with pytest.raises(RuntimeError):
        natively(convolution(padding=padding))(x)


def test_a_weight_on_another_device_than_the_series_is_not_read(monkeypatch):
    monkeypatch.setattr(convolution_native, "_call", lambda *given: pytest.fail("its address is none of this memory"))
    assert not by_kernel(natively(convolution()).to("meta"), series())


@pytest.mark.usefixtures("older")
def test_older_instruction_sets_give_the_same_maps_and_gradients(tmp_path, monkeypatch):
    monkeypatch.setattr(CONVOLUTION_KERNELS, "_found", None)
    assert CONVOLUTION_KERNELS.loaded
    assert not any("avx512" in path.name for path in (tmp_path / "tsmtl").glob("*.so"))
    for n, c, f, t, taps, padding in SIZES:
        layer, x = convolution(c, f, taps, padding), series(n, c, t)
        assert_close(all_of(natively(layer), x), all_of(copy.deepcopy(layer).double(), x.double()))


@pytest.mark.parametrize("damaged", ["convolution_forward", "convolution_backward_x", "convolution_backward_weight"])
def test_the_check_of_the_convolution_finds_kernels_that_give_other_numbers(damaged):
    kernels = CONVOLUTION_KERNELS.loaded
    assert convolution_native._check(kernels) is None

    def another_padding(right, *arguments):
        changed = list(arguments)
        changed[1] -= 1
        changed[5] = 2  # as many steps would need 2.5
        right(*changed)

    said = convolution_native._check(Damaged(kernels, damaged, another_padding))
    assert said is not None
    assert "is off by" in said


def test_weights_and_names_of_a_convolution_are_those_without_kernels():
    layer = convolution()
    ours = natively(layer)
    assert ours.state_dict().keys() == layer.state_dict().keys()
    ours(series()).sum().backward()
    assert ours.weight.grad is not None
    assert ours.weight.grad.stride() == layer.weight.stride()
