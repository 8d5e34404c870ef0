"""What only a GPU can tell: recorded steps, data that does not fit, TF32, bfloat16, and jobs that share one."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook

import tsmtl
from tests.test_captured_runs import train_cut
from tests.test_train import TINY_MODEL, rows_of, summary_of
from tsmtl.data.windows import Windows
from tsmtl.models.convolution import Convolution
from tsmtl.models.masking import BatchNorm
from tsmtl.models.norm_relu import norm_relu
from tsmtl.models.precision import float32_products, has_tf32, recurrent_in_float32
from tsmtl.training.batches import take_rows
from tsmtl.training.captured_step import WARM_UP, CapturedSteps, CudaGraphs
from tsmtl.training.read_ahead import PinnedCopies
from tsmtl.training.window_split import WindowSplit

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SETTINGS = ["device=cuda", "num_epochs=3", "data.n_instances=200", "data.test_fraction=0.3", "lr=1e-3", "batch_size=8"]
NO_DROPOUT = {"lstm_fcn_multi": ["lstm_drop_out=0", "fc_drop_out=0"]}
MODELS = ["lstm", "gru", "cnn1d", "lstm_fcn_multi"]


def words_of(model: str, dropout: bool) -> list[str]:
    off = [] if dropout else NO_DROPOUT.get(model, ["dropout=0"])
    return [f"model={model}", *TINY_MODEL[model], *off, *SETTINGS]


def losses_of(folder: Path) -> list[dict[str, float]]:
    rows = rows_of(folder / "metrics.csv")
    return [{key: float(value) for key, value in row.items() if key.endswith("loss")} for row in rows]


def assert_near(ours: Path, theirs: Path, rel: float) -> None:
    for a, b in zip(losses_of(ours), losses_of(theirs), strict=True):
        assert a == pytest.approx(b, rel=rel, abs=rel)


@pytest.mark.parametrize("more", [[], ["trainer.weight_average=0.9", "trainer.gradient_clip=0.5"]], ids=["", "clipped"])
@pytest.mark.parametrize("model", MODELS)
def test_recorded_steps_train_as_steps_launched_one_operation_at_a_time(tmp_path, model, more):
    for graph in ("auto", "off"):
        words = [*words_of(model, dropout=False), *more, f"trainer.cuda_graph={graph}"]
        tsmtl.train([*words, f"hydra.run.dir={tmp_path}/{graph}"])
    assert [summary_of(tmp_path / graph)["captured"] for graph in ("auto", "off")] == [True, False]
    assert_near(tmp_path / "auto", tmp_path / "off", 1e-4)


@pytest.mark.parametrize("model", ["cnn1d", "lstm_fcn_multi"])
def test_a_recorded_step_draws_the_dropout_that_the_step_itself_would(tmp_path, model):
    for graph in ("auto", "off"):
        words = [*words_of(model, dropout=True), f"trainer.cuda_graph={graph}"]
        tsmtl.train([*words, f"hydra.run.dir={tmp_path}/{graph}"])
    assert_near(tmp_path / "auto", tmp_path / "off", 1e-4)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype feature")
@pytest.mark.parametrize("model", MODELS)
def test_a_recorded_step_never_waits_for_the_device(tmp_path, model, monkeypatch):
    take = CapturedSteps.take

    def strict(self, step, train, rows):
        torch.cuda.set_sync_debug_mode("error" if self._warm == WARM_UP and self.replayed else "default")
        try:
            return take(self, step, train, rows)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(CapturedSteps, "take", strict)
    tsmtl.train([*words_of(model, dropout=True), f"hydra.run.dir={tmp_path}/run"])
    assert summary_of(tmp_path / "run")["captured"]


def test_a_recorded_run_that_is_cut_goes_on_as_the_whole_one(tmp_path, monkeypatch):
    words = words_of("cnn1d", dropout=True)
    tsmtl.train([*words, f"hydra.run.dir={tmp_path}/whole"])
    train_cut([*words, f"hydra.run.dir={tmp_path}/cut"], 20, monkeypatch)
    tsmtl.train([*words, f"hydra.run.dir={tmp_path}/cut", "resume=true"])
    assert_near(tmp_path / "cut", tmp_path / "whole", 1e-4)


PLUGIN = """
import torch
from tsmtl.models import Backbone, register_backbone

@register_backbone("looks")
class Looks(Backbone):
    capturable = True

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.layer, self.embed_dim, self.drop = torch.nn.Linear(input_size, 4), 4, torch.nn.Dropout(0.3)

    def forward(self, x, lengths=None):
        x = self.drop(self.layer(x.mean(dim=2)))
        return x if float(x.detach().sum()) > 1e9 else 2 * x
"""
PLUGIN_YAML = "# @package _global_\nmodel: looks\nplugins: [looks_plugin]\nnum_epochs: 2\nbatch_size: 8\nlr: 1.0e-3\n"


def test_a_backbone_that_asks_for_a_value_within_its_step_goes_on_unrecorded(tsmtl_train, tmp_path):
    (tmp_path / "looks_plugin.py").write_text(PLUGIN)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/looks.yaml").write_text(PLUGIN_YAML)
    answer = tsmtl_train("--config-dir", ".", "model=looks", "device=cuda", "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    assert not summary_of(tmp_path / "run")["captured"]
    assert answer.err.count("this step cannot be recorded") == 1


@pytest.mark.parametrize("graph", ["auto", "off"])
def test_data_that_does_not_fit_is_copied_ahead_and_changes_no_number(tmp_path, monkeypatch, caplog, graph):
    words = [*words_of("cnn1d", dropout=True), f"trainer.cuda_graph={graph}"]
    tsmtl.train([*words, f"hydra.run.dir={tmp_path}/resident"])
    monkeypatch.setattr("tsmtl.training.residence.SHARE", 0.0)
    with caplog.at_level(logging.INFO):
        tsmtl.train([*words, f"hydra.run.dir={tmp_path}/copied"])
    assert "batches are copied ahead" in caplog.text
    assert_near(tmp_path / "copied", tmp_path / "resident", 1e-6)


def test_copies_arrive_whole_while_the_gpu_is_busy():
    copies, busy = PinnedCopies(torch.device("cuda")), torch.randn(2048, 2048, device="cuda")
    wanted = [torch.full((64, 1000), float(i)) for i in range(20)]
    found = []
    for x in wanted:
        busy = busy @ busy / 2048
        sent, event = copies.send(x)
        torch.cuda.current_stream().wait_event(event)
        sent.record_stream(torch.cuda.current_stream())
        found.append(sent.clone())
    assert all(torch.equal(ours.cpu(), theirs) for ours, theirs in zip(found, wanted, strict=True))


def test_behind_a_failed_recording_copies_give_their_memory_back():
    device, x = torch.device("cuda"), torch.ones(8, device="cuda")
    graphs, copies = CudaGraphs(device), PinnedCopies(device)
    with pytest.raises(RuntimeError):
        graphs.record(lambda: x.sum().item())
    before = torch.cuda.memory_reserved()
    for _ in range(32):
        sent, event = copies.send(torch.zeros(2**21))  # 8 MiB
        torch.cuda.current_stream().wait_event(event)
        sent.record_stream(torch.cuda.current_stream())
        del sent
        torch.cuda.synchronize()
    assert torch.cuda.memory_reserved() - before < 2**26, "a few of them, and not 256 MiB"


def test_a_recurrent_layer_trains_in_bfloat16_behind_another_that_gives_it():
    convolution, recurrent = Convolution(3, 8, 3, padding=1).cuda(), torch.nn.LSTM(8, 4, batch_first=True).cuda()
    with torch.autocast("cuda", torch.bfloat16):
        maps = convolution(torch.randn(4, 3, 20, device="cuda"))
        assert maps.dtype is torch.bfloat16
        with recurrent_in_float32(maps):
            steps, _ = recurrent(maps.float().transpose(1, 2))
    assert steps.dtype is torch.float32
    steps.sum().backward()
    assert convolution.weight.grad.dtype is torch.float32


def test_a_run_goes_on_in_a_script_that_has_set_the_newer_switches(tmp_path):
    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("this PyTorch has the older switches alone")
    switch = torch.backends.cudnn.conv
    before, switch.fp32_precision = switch.fp32_precision, "ieee"
    try:
        tsmtl.train([*words_of("cnn1d", dropout=False), f"hydra.run.dir={tmp_path}/newer"])
        assert switch.fp32_precision == "ieee"
    finally:
        switch.fp32_precision = before
    tsmtl.train([*words_of("cnn1d", dropout=False), f"hydra.run.dir={tmp_path}/older"])
    assert_near(tmp_path / "newer", tmp_path / "older", 1e-4)


def test_rows_of_instances_are_the_same_however_many():
    x = torch.randn(100, 3, 20, device="cuda")
    for count in (1, 16, 17, 100):
        rows = torch.randperm(100, device="cuda")[:count]
        assert torch.equal(take_rows(x, rows), x.index_select(0, rows))


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_windows_are_gathered_as_on_a_cpu(kind):
    values = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    windows = Windows(values, np.array([0, 20]), np.array([8, 8]), np.array([0, 0]), window=6, stride=2)
    targets, rows = {"cls": torch.arange(16, dtype=torch.int16)}, np.arange(1, 15).astype(kind)
    splits = [
        WindowSplit(torch.from_numpy(values).to(device), windows, rows, {"cls": targets["cls"].to(device)}, {})
        for device in ("cuda", "cpu")
    ]
    chosen = torch.tensor([3, 0, 13, 7])
    (x, _, ids), (expected, _, expected_ids) = (split.batch(chosen.to(split.device)) for split in splits)
    assert torch.equal(x.cpu(), expected)
    assert torch.equal(ids["cls"].cpu(), expected_ids["cls"])
    assert torch.equal(splits[0].targets["cls"].cpu(), splits[1].targets["cls"])


def test_a_relu_in_the_place_of_what_a_norm_gave_changes_no_number():
    x, norms = torch.randn(16, 50, 8, device="cuda").transpose(1, 2), [BatchNorm(8).cuda() for _ in range(2)]
    given = [x.clone().requires_grad_() for _ in norms]
    maps = [norm_relu(given[0], norms[0], None), F.relu(norms[1](given[1]))]
    outer = torch.randn_like(maps[1])
    found = [
        [out, *torch.autograd.grad(out, [its, norm.weight, norm.bias], outer), norm.running_mean, norm.running_var]
        for out, its, norm in zip(maps, given, norms, strict=True)
    ]
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_recorded_steps_of_sgd_train_as_others_do(tmp_path):
    for graph in ("auto", "off"):
        words = [*words_of("cnn1d", dropout=False), "trainer.optimizer=sgd", f"trainer.cuda_graph={graph}"]
        tsmtl.train([*words, f"hydra.run.dir={tmp_path}/{graph}"])
    assert summary_of(tmp_path / "auto")["captured"]
    assert_near(tmp_path / "auto", tmp_path / "off", 1e-4)


@pytest.mark.parametrize("n", [3, 256])
@pytest.mark.parametrize(("before", "after", "taps"), [(9, 64, 3), (64, 128, 3), (5, 7, 8)])
def test_a_convolution_learns_in_float32_what_double_precision_would(before, after, taps, n):
    torch.manual_seed(0)
    layer, x = Convolution(before, after, taps, padding=1).cuda(), torch.randn(n, before, 50, device="cuda")
    outer = torch.randn(n, after, 52 + 1 - taps, device="cuda")
    given, double = x.clone().requires_grad_(), x.double().requires_grad_()
    with float32_products(x.device):
        maps = layer(given)
        assert (type(maps.grad_fn).__name__ == "ConvolveOnGPUBackward") == (n == 256)
        found = [maps, *torch.autograd.grad(maps, [given, layer.weight], outer)]
    weight = layer.weight.detach().double().requires_grad_()
    reference = F.conv1d(double, weight, padding=1)
    expected = [reference, *torch.autograd.grad(reference, [double, weight], outer.double())]
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).norm() <= 5e-6 * theirs.norm()


@pytest.mark.parametrize("model", ["lstm", "gru", "lstm_fcn_multi"])
def test_recurrent_layers_stay_float32_in_bfloat16(tmp_path, model):
    """Autocast would make them float16, whatever was asked for."""
    found = set()

    def see(module, given, output):
        if isinstance(module, torch.nn.RNNBase):
            found.add(output[0].dtype)

    handle = register_module_forward_hook(see)
    try:
        words = [*words_of(model, dropout=True), "trainer.precision=bf16", "num_epochs=1"]
        tsmtl.train([*words, f"hydra.run.dir={tmp_path}/run"])
    finally:
        handle.remove()
    assert found == {torch.float32}


def test_a_model_predicts_on_a_gpu_what_it_does_on_a_cpu(tmp_path):
    tsmtl.train([*words_of("lstm_fcn_multi", dropout=True), f"hydra.run.dir={tmp_path}/run"])
    x = np.random.default_rng(0).normal(size=(50, 3, 32)).astype(np.float32)
    path = tmp_path / "run/best_model.pt"
    on_gpu, on_cpu = (tsmtl.load_model(path, device=name).predict(x) for name in ("cuda", "cpu"))
    np.testing.assert_allclose(on_gpu["cls"].probabilities, on_cpu["cls"].probabilities, atol=1e-4)
    np.testing.assert_allclose(on_gpu["reg"].values, on_cpu["reg"].values, rtol=1e-3, atol=1e-4)


def test_tf32_trains_and_its_switches_are_put_back(tmp_path):
    if not has_tf32(torch.device("cuda")):
        pytest.skip("needs a GPU with TF32")
    switches = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    for precision in ("float32", "tf32"):
        words = ["model=lstm_fcn_multi", *NO_DROPOUT["lstm_fcn_multi"], *SETTINGS, f"trainer.precision={precision}"]
        tsmtl.train([*words, f"hydra.run.dir={tmp_path}/{precision}"])
        assert summary_of(tmp_path / precision)["precision"] == precision
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == switches
    assert losses_of(tmp_path / "tf32") != losses_of(tmp_path / "float32"), "it did round"
    assert_near(tmp_path / "tf32", tmp_path / "float32", 0.05)


@pytest.mark.parametrize("model", MODELS)
def test_every_backbone_trains_in_bfloat16(tmp_path, model):
    tsmtl.train([*words_of(model, dropout=True), "trainer.precision=bf16", f"hydra.run.dir={tmp_path}/run"])
    summary = summary_of(tmp_path / "run")
    assert (summary["precision"], summary["captured"]) == ("bf16", True)
    assert all(np.isfinite(list(row.values())).all() for row in losses_of(tmp_path / "run"))


def test_jobs_that_share_a_gpu_see_it_alone(tsmtl_train, tmp_path):
    sweep = ["hydra.launcher.jobs_per_gpu=2", "seed=0,1,2,3", "hydra.sweep.dir=sweep"]
    answer = tsmtl_train("-m", *words_of("cnn1d", dropout=True), *sweep)
    assert answer.code == 0, answer.err
    summaries: list[dict[str, Any]] = [json.loads(path.read_text()) for path in tmp_path.glob("sweep/*/summary.json")]
    assert len(summaries) == 4
    assert all(summary["device"].startswith("cuda") for summary in summaries)
    assert all(summary["captured"] for summary in summaries)
