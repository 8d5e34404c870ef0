"""bfloat16 in training steps: near float32, and nowhere else."""

import copy

import pytest
import torch
from torch.nn import functional as F

from tests.processor import needs_bf16
from tsmtl.models import precision
from tsmtl.models.convolution import Convolution
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import build_backbone

SERIES, VECTORS = (16, 3, 20), (16, 6)  # N, C, T; N, E
# Largest distance of the whole gradient, in its norm: a ReLU behind a batch norm flips where an output is about 0.
TOLERANCE = {"lstm": 0.01, "fc": 0.01, "cnn1d": 0.05, "lstm_fcn": 0.1}
RECURRENT = {"hidden_size": 8, "num_layers": 2, "dropout": 0.0, "bidirectional": True}
CNN = {"output_channels": 8, "kernel_size": 3, "stride": 1, "padding": 1, "dropout": 0.0}
FCN = {
    "num_layers": 1,
    "lstm_drop_out": 0.0,
    "fc_drop_out": 0.0,
    "lstm_hidden_size": 8,
    "conv_channels": [16, 32, 16],
    "kernel_sizes": [8, 5, 3],
    "squeeze_excite": True,
}
CASES = {
    "lstm": ("lstm", {**RECURRENT, "readout": "last"}, False),
    "lstm, lengths": ("lstm", {**RECURRENT, "readout": "attention"}, True),
    "cnn1d": ("cnn1d", {**CNN, "readout": "flatten"}, False),
    "cnn1d, lengths": ("cnn1d", {**CNN, "readout": "mean"}, True),
    "lstm_fcn": ("lstm_fcn", {**FCN, "dimension_shuffle": False, "readout": "mean"}, False),
    "lstm_fcn, lengths": ("lstm_fcn", {**FCN, "dimension_shuffle": False, "readout": "last"}, True),
    "lstm_fcn, shuffled": ("lstm_fcn", {**FCN, "dimension_shuffle": True, "readout": "attention"}, False),
    "fc": ("fc", {"hidden_sizes": [16, 8], "dropout": 0.0, "bias": True}, False),
}


def made(name: str, arguments: dict[str, object], bf16: bool) -> MultiTaskModel:
    torch.manual_seed(0)
    sizes = (VECTORS[1], None) if name == "fc" else SERIES[1:]
    return MultiTaskModel(build_backbone(name, dict(arguments), *sizes), {"cls": 3, "reg": 1}, bf16=bf16)


def batch_of(name: str, unequal: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(VECTORS if name == "fc" else SERIES, generator=generator)
    if not unequal:
        return x, None
    lengths = torch.tensor([20, 12, 7, 16] * 4)
    return x * (torch.arange(20) < lengths[:, None])[:, None, :], lengths


def loss_of(model: MultiTaskModel, x: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    outputs = model(x, lengths)
    targets = torch.tensor([0, 1, 2, 0] * 4)
    return F.cross_entropy(outputs["cls"], targets) + F.mse_loss(outputs["reg"], targets[:, None].float())


def gradients_of(model: MultiTaskModel) -> torch.Tensor:
    return torch.cat([p.grad.reshape(-1) for p in model.parameters()])


@needs_bf16
@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients_are_those_of_float32_within_the_tolerance_of_the_model(case):
    name, arguments, unequal = CASES[case]
    found = []
    for bf16 in (False, True):
        model = made(name, arguments, bf16)
        loss = loss_of(model, *batch_of(name, unequal))
        loss.backward()
        assert all(p.grad.dtype == p.dtype == torch.float32 for p in model.parameters())
        assert loss.dtype == torch.float32
        found.append((loss.item(), gradients_of(model)))
    (loss, exact), (near_loss, near) = found
    assert near_loss == pytest.approx(loss, rel=0.01)
    assert not torch.equal(near, exact)  # it did compute otherwise
    assert (near - exact).norm() < TOLERANCE[name] * exact.norm()


@pytest.mark.parametrize("case", CASES)
def test_what_is_measured_is_float32_to_the_last_bit(case):
    name, arguments, unequal = CASES[case]
    plain, lowered = (made(name, arguments, bf16).eval() for bf16 in (False, True))
    ours, theirs = (model(*batch_of(name, unequal)) for model in (lowered, plain))
    assert all(torch.equal(ours[task], theirs[task]) for task in theirs)


@pytest.mark.parametrize("channels", [4, 8, 12, 15, 16, 17, 32])
@pytest.mark.parametrize("kernel_size", [3, 8, 16])
def test_convolutions_of_every_shape_are_near_float32(channels, kernel_size):
    torch.manual_seed(0)
    convolution = Convolution(channels, 24, kernel_size, padding=(kernel_size - 1) // 2)
    x = torch.randn(4, channels, 29)
    gradient = torch.randn_like(convolution(x))
    found = []
    for lowered in (False, True):
        convolution.zero_grad()
        own = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
            out = convolution(own)
        assert out.dtype == (torch.bfloat16 if lowered else torch.float32)
        out.backward(gradient.to(out.dtype))
        found.append((out.float(), own.grad, convolution.weight.grad))
    for exact, near in zip(*found, strict=True):
        assert (near - exact).norm() < 0.01 * exact.norm()


@needs_bf16
def test_a_frozen_backbone_stays_float32_until_it_learns():
    plain, lowered = (made("cnn1d", CASES["cnn1d"][1], bf16) for bf16 in (False, True))
    x, _ = batch_of("cnn1d", False)
    for model in (plain, lowered):
        model.freeze_backbone()
    assert torch.equal(lowered(x)["cls"], plain(x)["cls"])
    for model in (plain, lowered):
        model.freeze_backbone(False)
    assert not torch.equal(lowered(x)["cls"], plain(x)["cls"])


def test_a_copy_trains_as_the_original_does():
    model = made("lstm_fcn", CASES["lstm_fcn"][1], True)
    x, _ = batch_of("lstm_fcn", False)
    assert torch.equal(copy.deepcopy(model)(x)["cls"], model(x)["cls"])


def test_outputs_of_a_training_step_are_float32():
    model = made("lstm", CASES["lstm"][1], True)
    assert {task: output.dtype for task, output in model(*batch_of("lstm", False)).items()} == {
        "cls": torch.float32,
        "reg": torch.float32,
    }


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("fpu avx512f avx512_bf16 amx_bf16 amx_tile", None),
        ("fpu avx512f avx512_bf16", None),
        ("fpu avx512f", "takes about twice as long in it as in float32"),
        ("fpu avx2", "takes about twice as long in it as in float32"),
    ],
)
def test_a_processor_without_units_for_it_is_named_with_the_cost(tmp_path, monkeypatch, flags, said):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    monkeypatch.setattr("tsmtl.config.processor.CPUINFO", tmp_path / "cpuinfo")
    found = precision.cost_of_bf16(torch.device("cpu"))
    assert found is None if said is None else said in found


def test_a_processor_that_says_nothing_of_itself_is_not_known(tmp_path, monkeypatch):
    monkeypatch.setattr("tsmtl.config.processor.CPUINFO", tmp_path / "missing")
    assert "not known" in precision.cost_of_bf16(torch.device("cpu"))


@pytest.mark.parametrize("tf32", [True, False])
def test_a_gpu_multiplies_as_asked_within_the_block_and_as_before_behind_it(tf32):
    """The switches are the process's; that they act is for a GPU to show."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    with pytest.raises(ZeroDivisionError), precision.float32_products(torch.device("cuda"), tf32):  # noqa: PT012
        assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
        assert torch.backends.cudnn.allow_tf32 is tf32
        with precision.float32_products(torch.device("cuda")):
            assert torch.backends.cudnn.allow_tf32 is False
        assert torch.backends.cudnn.allow_tf32 is tf32
        raise ZeroDivisionError
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


@pytest.fixture
def kept_switches():
    """Put back what a test leaves in the switches that PyTorch has since 2.9."""
    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("this PyTorch has the older switches alone")
    generic, cudnn = torch.backends.fp32_precision, torch.backends.cudnn.fp32_precision
    older = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    switches = [torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn]
    before = [switch.fp32_precision for switch in switches]
    yield switches
    torch.backends.fp32_precision, torch.backends.cudnn.fp32_precision = generic, cudnn
    torch.set_float32_matmul_precision(older[0])
    torch.backends.cudnn.allow_tf32 = older[1]
    for switch, precise in zip(switches, before, strict=True):
        switch.fp32_precision = precise


SCRIPTS = [(), ("backends", "tf32"), ("backends", "ieee"), ("cudnn", "tf32"), ("conv", "ieee"), ("matmul", "tf32")]


@pytest.mark.parametrize("tf32", [True, False])
@pytest.mark.parametrize("script", SCRIPTS, ids=" ".join)
def test_it_multiplies_as_asked_whichever_switches_a_script_has_set(kept_switches, script, tf32):
    """PyTorch refuses to read the older switches where the newer ones say something else."""
    places = {"backends": torch.backends, "cudnn": torch.backends.cudnn}
    places |= {"matmul": kept_switches[0], "conv": kept_switches[1]}
    if script:
        places[script[0]].fp32_precision = script[1]
    before = [switch.fp32_precision for switch in kept_switches]
    with precision.float32_products(torch.device("cuda"), tf32):
        assert {switch.fp32_precision for switch in kept_switches} == {"tf32" if tf32 else "ieee"}
        with precision.float32_products(torch.device("cuda")):
            assert {switch.fp32_precision for switch in kept_switches} == {"ieee"}
            if not script:
                assert not torch.backends.cudnn.allow_tf32, "what reads the older ones goes on doing so"
    assert [switch.fp32_precision for switch in kept_switches] == before


class _OnGPU:
    """As much of a float32 tensor on a GPU as is looked at."""

    is_cuda, dtype = True, torch.float32


@pytest.mark.parametrize(("script", "exact"), [("ieee", True), ("tf32", False)])
def test_an_exact_convolution_is_known_whichever_switches_a_script_has_set(kept_switches, script, exact):
    kept_switches[1].fp32_precision = script
    assert precision.exact_on_gpu(_OnGPU()) is exact
    with precision.float32_products(torch.device("cuda")):
        assert precision.exact_on_gpu(_OnGPU())
    with precision.float32_products(torch.device("cuda"), tf32=True):
        assert not precision.exact_on_gpu(_OnGPU())


def test_nothing_is_switched_on_a_cpu():
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    with precision.float32_products(torch.device("cpu"), True):
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


@pytest.mark.parametrize(
    ("kind", "hip", "capability", "there"),
    [
        ("cpu", None, (9, 0), False),
        ("cuda", None, (7, 5), False),
        ("cuda", None, (8, 0), True),
        ("cuda", None, (9, 0), True),
        ("cuda", "6.2", (9, 4), False),
    ],
)
def test_tf32_is_of_nvidia_from_ampere_on(monkeypatch, kind, hip, capability, there):
    monkeypatch.setattr("torch.version.hip", hip)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    assert precision.has_tf32(torch.device(kind)) is there
