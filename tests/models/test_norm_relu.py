"""Batch norm, ReLU, squeeze-and-excite and readout by the native kernel, against the modules one after another."""

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module

from tests.conftest import needs_compiler
from tests.models.damaged import Damaged
from tsmtl.models import norm_relu_native
from tsmtl.models.dropout import DROPOUT_KERNELS
from tsmtl.models.kernels import train_natively
from tsmtl.models.masking import BatchNorm, valid_steps
from tsmtl.models.norm_relu import norm_relu
from tsmtl.models.norm_relu_native import NORM_KERNELS
from tsmtl.models.readout import Readout
from tsmtl.models.squeeze_excite import SqueezeExcite
from tsmtl.training.synced_norm import sync_norms

pytestmark = needs_compiler
# Of outputs and gradients, relative to their norm.
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 6e-3}
SIZES = [(n, f, t) for n in (1, 2, 13) for f in (1, 3, 16, 100, 128) for t in (1, 5, 37) if n * t > 1]
BEHIND = ["maps", "excite", "mean", "flatten", "max"]


class Layers(nn.Module):
    """A batch norm and what stands behind it."""

    def __init__(self, behind: str, f: int, t: int) -> None:
        super().__init__()
        self.norm = BatchNorm(f)
        self.excite = SqueezeExcite(f) if behind == "excite" else None
        self.readout = None if behind in ("maps", "excite") else Readout(behind, f, t)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        return norm_relu(x, self.norm, valid, self.excite, self.readout)


def layers(behind: str = "excite", f: int = 16, t: int = 5) -> Layers:
    """Give layers in train mode, by torch, with weights and running statistics other than at their start."""
    torch.manual_seed(0)
    made = Layers(behind, f, t)
    with torch.no_grad():
        for tensor in (made.norm.weight, made.norm.bias, made.norm.running_mean):
            tensor.normal_()
        made.norm.running_var.uniform_(0.5, 2)
    return made


def natively(made: Layers) -> Layers:
    made = copy.deepcopy(made)
    train_natively(made)
    return made


def maps(n: int = 4, f: int = 16, t: int = 5, shift: float = 0.0) -> Tensor:
    return 2 * torch.randn(n, f, t, generator=torch.Generator().manual_seed(1)) + shift


def all_of(made: Layers, x: Tensor) -> dict[str, Tensor]:
    """Output, gradients of a function of it on the maps and on every weight, and the buffers afterwards."""
    x = x.clone().requires_grad_()
    out = made(x)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(out.dtype)
    gradients = torch.autograd.grad(out, [x, *made.parameters()], weights)
    names = ["maps", *(name for name, _ in made.named_parameters())]
    return {"out": out, **dict(zip(names, gradients, strict=True)), **dict(made.named_buffers())}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float, of: str = "") -> None:
    """Compare by the norm, above that of ones: as large are maps and gradients that come in, whose rounding remains."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape, f"{name} {of}"
        scale = value.double().norm() + value.numel() ** 0.5
        assert (found[name].double() - value.double()).norm() <= tolerance * scale, f"{name} {of}"


def by_kernel(made: Layers, x: Tensor) -> bool:
    """Say whether the kernel does it."""
    waiting, seen = [made(x).grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [function for function, _ in node.next_functions]
    return any("NormReLU" in type(node).__name__ for node in seen)


@pytest.mark.parametrize("behind", BEHIND)
def test_all_numbers_are_those_of_double_precision_and_of_torch(behind):
    for size in SIZES:
        made, x = layers(behind, *size[1:]), maps(*size)
        ours = all_of(natively(made), x)
        for exact, digits in ((all_of(copy.deepcopy(made).double(), x.double()), 5), (all_of(made, x), 10)):
            assert_close(ours, exact, TOLERANCE[torch.float32] * digits, f"of size {size}")


@pytest.mark.parametrize("behind", BEHIND[:-1])  # values that round to the same share the gradient of a maximum
@pytest.mark.parametrize("size", [(1, 3, 37), (13, 100, 5), (4, 128, 37)], ids=str)
def test_bfloat16_is_near_float32(behind, size):
    made, x = layers(behind, *size[1:]), maps(*size).bfloat16()
    near = all_of(natively(made), x)
    assert near["out"].dtype == (torch.float32 if behind == "mean" else torch.bfloat16)
    assert near["maps"].dtype == torch.bfloat16
    exact = all_of(made, x.float())
    assert_close(near, exact, TOLERANCE[torch.bfloat16])
    for name in ("norm.running_mean", "norm.running_var"):  # sums are those of single precision
        torch.testing.assert_close(near[name], exact[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shift", [1e3, -1e4])
def test_a_mean_far_from_0_costs_no_digits_but_those_of_the_maps(shift):
    made, x = layers(f=20), maps(8, 20, 300, shift)
    exact = all_of(copy.deepcopy(made).double(), x.double())
    ours = all_of(natively(made), x)
    assert_close({"var": ours["norm.running_var"]}, {"var": exact["norm.running_var"]}, 1e-6)
    rounding = abs(shift) * 2.0**-24  # of the mean as a float, of values with a standard deviation of 2
    assert_close(ours, exact, 2 * rounding)


def test_running_statistics_follow_those_of_torch_from_batch_to_batch():
    made = layers()
    ours = natively(made)
    for seed in range(4):
        x = 3 * torch.randn(5, 16, 7, generator=torch.Generator().manual_seed(seed)) + 1
        for each in (made, ours):
            each(x)
    assert ours.norm.num_batches_tracked.item() == 4
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(ours.norm, name), getattr(made.norm, name), rtol=1e-6, atol=1e-6)
    made.eval()
    ours.eval()
    torch.testing.assert_close(ours(x), made(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("behind", BEHIND)
def test_one_step_of_one_instance_is_refused_as_torch_refuses_it(behind):
    for made in (layers(behind, t=1), natively(layers(behind, t=1))):
        with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
            made(maps(1, 16, 1))


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_bits_depend_neither_on_addresses_nor_on_threads(behind, kind):
    made, x = natively(layers(behind, 100, 300)), maps(7, 100, 300).to(kind)
    before, expected = torch.get_num_threads(), all_of(copy.deepcopy(made), x)
    try:
        for threads, off in ((1, 1), (2, 0), (3, 5), (2, 3)):
            torch.set_num_threads(threads)
            moved = torch.empty(x.numel() + off, dtype=kind)[off:].view(7, 300, 100).transpose(1, 2)
            found = all_of(copy.deepcopy(made), moved.copy_(x))
            assert all(torch.equal(found[name], value) for name, value in expected.items())
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("behind", BEHIND)
def test_maps_and_gradients_may_lie_in_any_order(behind):
    made, x = natively(layers(behind)), maps()
    expected = all_of(copy.deepcopy(made), x)
    for order in ((2, 1, 0), (1, 0, 2), (0, 2, 1)):
        inverse = torch.tensor(order).argsort().tolist()
        lying = x.permute(order).contiguous().permute(inverse)
        assert_close(all_of(copy.deepcopy(made), lying), expected, 0.0)
    own = x.clone().requires_grad_()
    out = made(own)
    gradient = maps(*out.shape) if out.dim() == 3 else torch.randn(out.shape)
    one = torch.autograd.grad(out, own, gradient, retain_graph=True)[0]
    spread = torch.empty(*gradient.shape, 2)[..., 0].copy_(gradient)
    assert torch.equal(torch.autograd.grad(out, own, spread)[0], one)


def test_what_is_not_a_number_stays_so():
    for behind in BEHIND:
        x = maps()
        x[1, 2, 3] = torch.nan
        out = natively(layers(behind))(x)
        assert out.isnan().any()


def test_steps_are_counted_beyond_the_whole_numbers_of_a_float():
    made, steps = natively(layers("mean", 1, 1)), 3 * 2**23
    with torch.no_grad():
        made.norm.bias.fill_(100.0)  # all steps are above 0
    x = torch.ones(1, 1, steps, dtype=torch.bfloat16)
    x[..., ::2] = -1
    (shift,) = torch.autograd.grad(made(x), made.norm.bias)
    assert shift.item() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("behind", BEHIND)
def test_gradients_of_gradients_are_those_of_torch(behind):
    found = []
    for made in (layers(behind).double(), natively(layers(behind))):
        x = maps().to(made.norm.weight.dtype).requires_grad_()
        out = made(x)
        (first,) = torch.autograd.grad((out**3).sum(), x, create_graph=True)
        gradients = torch.autograd.grad((first**2).sum(), [x, *made.parameters()])
        found.append({str(i): gradient for i, gradient in enumerate([first, *gradients])})
    assert_close(found[1], found[0], 1e-4)


@pytest.mark.parametrize("behind", BEHIND)
def test_training_steps_alone_take_the_kernel(behind, monkeypatch):
    torchs, ours, x = layers(behind), natively(layers(behind)), maps()
    assert by_kernel(copy.deepcopy(ours), x)
    assert not by_kernel(copy.deepcopy(torchs), x)
    lengths = valid_steps(torch.tensor([5, 3, 4, 5]), x)
    if behind != "flatten":
        masked = x * lengths
        expected = copy.deepcopy(torchs)(masked, lengths)
        assert torch.equal(copy.deepcopy(ours)(masked, lengths), expected)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(ours)(x), copy.deepcopy(torchs)(x))
    assert not by_kernel(copy.deepcopy(ours).double(), x.double())
    frozen = copy.deepcopy(ours).requires_grad_(False)
    assert torch.equal(frozen(x), copy.deepcopy(torchs)(x))
    synced = copy.deepcopy(ours)
    sync_norms(synced, Alone())
    assert not by_kernel(synced, x)
    assert torch.equal(copy.deepcopy(ours).eval()(x), copy.deepcopy(torchs).eval()(x))
    with monkeypatch.context() as patch:
        patch.setattr("torch.compiler.is_compiling", lambda: True)
        assert not by_kernel(ours, x)


@pytest.mark.parametrize("lacking", [{"momentum": None}, {"track_running_stats": False}, {"affine": False}], ids=str)
def test_a_norm_without_statistics_momentum_or_weights_is_torchs(lacking):
    found = []
    for native in (False, True):
        norm, x = BatchNorm(16, **lacking), maps().requires_grad_()
        norm.native = native
        out = norm_relu(x, norm, None)
        found.append([out, *torch.autograd.grad((out**3).sum(), [x, *norm.parameters()]), *norm.buffers()])
    for torchs, ours in zip(*found, strict=True):
        assert torch.equal(ours, torchs)


class Alone:
    """The sums of one rank."""

    has_rows = True

    def summed(self, values: Tensor) -> Tensor:
        return values


def test_weights_and_names_are_those_without_kernels():
    made = layers()
    ours = natively(made)
    assert ours.state_dict().keys() == made.state_dict().keys()
    fresh: Any = Layers("excite", 16, 5)
    fresh.load_state_dict(ours.state_dict())
    assert not fresh.norm.native


@pytest.mark.usefixtures("older")
def test_older_instruction_sets_give_the_same_numbers(tmp_path, monkeypatch):
    for library in (NORM_KERNELS, DROPOUT_KERNELS):
        monkeypatch.setattr(library, "_found", None)
        assert library.loaded
    names = sorted(path.name for path in (tmp_path / "tsmtl").glob("*.so"))
    assert [name.split("-")[0] for name in names] == ["dropout", "norm_relu"]
    assert not any("avx512" in name for name in names)
    for behind in BEHIND:
        made, x = layers(behind, 37, 19), maps(5, 37, 19)
        assert_close(all_of(natively(made), x), all_of(copy.deepcopy(made).double(), x.double()), 1e-5)
        if behind != "max":
            assert_close(all_of(natively(made), x.bfloat16()), all_of(made, x.bfloat16().float()), 6e-3)


@pytest.mark.parametrize("damaged", ["norm_relu_forward", "norm_relu_backward"])
def test_the_check_finds_kernels_that_give_other_numbers(damaged):
    kernels = NORM_KERNELS.loaded
    assert norm_relu_native._check(kernels) is None

    def slightly_off(right, *arguments):
        changed = list(arguments)
        changed[7] = 1e-3  # epsilon
        right(*changed)

    said = norm_relu_native._check(Damaged(kernels, damaged, slightly_off))
    assert said is not None
    assert "is off by" in said


@pytest.mark.skipif(sys.platform != "linux", reason="threads are shared with torch where a library may find its OpenMP")
def test_threads_are_those_of_torchs_pool():
    """A pool of its own beside torch's would have both wait for the same cores."""
    script = """
import os, torch
from tsmtl.models.dropout import DROPOUT_KERNELS, WORTH_THREADS, dropped
torch.set_num_threads(1)
x = torch.ones(64 * WORTH_THREADS)
torch.set_num_threads(3)
kernels, count = DROPOUT_KERNELS.loaded, lambda: len(os.listdir("/proc/self/task"))
before = count()
dropped(kernels, x, 0.5, 1)
after = count()
torch.exp(x)
print(after - before, count() - after)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert said == ["2", "0"]


def looked_at(norm: BatchNorm, x: Tensor) -> list[Tensor]:
    """Give what a hook sees of a norm's output, behind the ReLU."""
    seen: list[Tensor] = []
    handle = norm.register_forward_hook(lambda module, given, output: seen.append(output))
    norm_relu(x, norm, None)
    handle.remove()
    return seen


def test_a_hook_sees_what_the_norm_gave_and_not_what_the_relu_made_of_it():
    x = torch.randn(4, 7, 3).transpose(1, 2)
    norm = BatchNorm(3)
    (seen,) = looked_at(norm, x)
    assert seen.shape == x.shape
    torch.testing.assert_close(seen, copy.deepcopy(norm)(x))


@pytest.mark.parametrize("register", ["register_full_backward_hook", "register_full_backward_pre_hook"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_hook_on_the_gradients_may_be_there(register, everywhere):
    x, norm, seen = torch.randn(4, 7, 3).transpose(1, 2).requires_grad_(), BatchNorm(3), []
    by = {
        "register_full_backward_hook": module.register_module_full_backward_hook,
        "register_full_backward_pre_hook": module.register_module_full_backward_pre_hook,
    }
    handle = (by[register] if everywhere else getattr(norm, register))(lambda *given: seen.append(given[-1][0]))
    try:
        norm_relu(x, norm, None).sum().backward()
    finally:
        handle.remove()
    assert seen[0].shape == x.shape


class WithLengths(BatchNorm):
    """One of one's own that wants to be called as ever."""

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:  # type: ignore[override]
        assert x.dim() == 3
        return super().forward(x, valid)


def test_a_norm_of_ones_own_is_called_as_ever():
    x = torch.randn(4, 7, 3).transpose(1, 2)
    assert torch.equal(norm_relu(x, WithLengths(3), None), norm_relu(x, BatchNorm(3), None))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_relu_in_place_changes_no_bit_and_keeps_the_order(dtype):
    made = layers("maps", 3, 7).norm.to(torch.float64 if dtype is torch.float64 else torch.float32)
    found = []
    for hidden in (False, True):
        norm, x = copy.deepcopy(made), torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(0))
        x = x.to(dtype).transpose(1, 2).requires_grad_()
        maps = norm_relu(x, norm, None) if hidden else nn.functional.relu(norm(x))
        outer = torch.linspace(-1, 1, maps.numel()).to(dtype).view(4, 7, 3).transpose(1, 2)
        gradients = torch.autograd.grad(maps, [x, norm.weight, norm.bias], outer, create_graph=True)
        twice = torch.autograd.grad(gradients[0].float().square().sum(), [x, norm.weight])
        assert maps.stride() == x.stride()
        found.append([maps, *gradients, *twice, norm.running_mean, norm.running_var])
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs)
