"""The comparison of the training loops is one of equals, and its tables say what was measured."""

import copy
import inspect
import sys
import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

import tsmtl
from benchmarks import training
from benchmarks.cases import CASES, HELD_OUT, write_data
from benchmarks.contestants import Contestant, Start, compete, in_turn, started
from benchmarks.stock_models import stock_model
from benchmarks.workers import rounds
from benchmarks.workers.in_torch import LR, plain_epoch
from benchmarks.workers.in_tsmtl import words_of
from benchmarks.workers.rounds import clock_of
from tsmtl.models.kernels import WithKernels
from tsmtl.models.registry import build_backbone
from tsmtl.training import loop

NO_DROPOUT = {"dropout": 0.0, "lstm_drop_out": 0.0, "fc_drop_out": 0.0}


# How far apart the ends may lie, of the way there. The convolutions of lstm_fcn add up in another order: a rounding
# that Adam, whose first steps have one length whatever the gradient, and a ReLU near 0 make larger from step to step.
# So do heads that read the steps of cnn1d in another order: a weight whose gradient is but rounding goes astray.
SAME_PATH = {"lstm_fcn": 0.05, "cnn1d": 1e-3}
SAME = "ignore:Using padding='same' with even kernel lengths:UserWarning"  # what it says is meant


class EnoughError(Exception):
    """The epochs that were wanted are done."""


def first_epochs(words: list[str], number: int, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Train as ``tsmtl-train`` does; give what each epoch was called with, and the model and order it began with."""
    original, calls = loop.train_epoch, []
    named = inspect.signature(original)

    def watched(*given, **by_name):
        if len(calls) == number:
            raise EnoughError
        call = named.bind(*given, **by_name).arguments
        calls.append({**call, "start": copy.deepcopy(call["step"].model), "order": call["generator"].get_state()})
        return original(*given, **by_name)

    monkeypatch.setattr(loop, "train_epoch", watched)
    with pytest.raises(EnoughError):
        tsmtl.train(words)
    return calls


@pytest.mark.filterwarnings(SAME)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_tsmtl_and_the_plain_loop_train_the_same_weights(case, tmp_path, monkeypatch):
    settings = {key: NO_DROPOUT.get(key, value) for key, value in case.settings.items()}  # its masks may differ
    write_data(case, 24, tmp_path / "data.npz")
    told = {"model": case.model, "settings": settings, "batch_size": 8, "data": str(tmp_path / "data.npz")}
    call, _ = first_epochs([*words_of(told, []), f"hydra.run.dir={tmp_path}/run"], 2, monkeypatch)
    stock = stock_model(case.model, case.shape, settings)
    for module in stock.modules():
        if isinstance(module, nn.Flatten):  # it goes feature by feature, another order of the heads' weights
            module.register_forward_pre_hook(lambda flatten, maps: maps[0].transpose(1, 2))
    for start, its in zip(call["start"].parameters(), stock.parameters(), strict=True):
        its.data.copy_(start.data)
    optimizer, generator = torch.optim.Adam(stock.parameters(), LR, fused=True), torch.Generator()
    generator.set_state(call["order"])
    train = call["train"]
    for _ in range(2):
        plain_epoch(stock, optimizer, (train.x[train.places], train.targets["cls"], train.targets["reg"]), 8, generator)
    start, ours, its = (
        parameters_to_vector(m.parameters()).detach() for m in (call["start"], call["step"].model, stock)
    )
    assert (its - start).abs().max() > 5 * LR  # six steps of Adam
    assert (ours - its).norm() <= SAME_PATH.get(case.model, 1e-5) * (its - start).norm()


def test_a_round_is_whole_batches():
    for case in CASES:
        for batch_size in (1, 16, 250, 10_000):
            assert case.count(batch_size) % batch_size == 0
            assert case.count(batch_size) >= batch_size


def test_held_out_splits_have_every_class(tmp_path):
    write_data(CASES[0], 16, tmp_path / "data.npz")
    arrays = np.load(tmp_path / "data.npz")
    assert (arrays["split"] == "train").sum() == 16
    for name in ("val", "test"):
        assert np.bincount(arrays["state"][arrays["split"] == name]).tolist() == [HELD_OUT // 4] * 4


def test_one_thread_is_measured_by_the_processors_clock():
    assert clock_of(1) is time.process_time
    assert clock_of(2) is time.perf_counter


def test_every_other_round_is_reversed():
    order = ["a", "b", "c"]
    assert [in_turn(order, repeat) for repeat in (1, 2, 3)] == [["a", "b", "c"], ["c", "b", "a"], ["a", "b", "c"]]


@pytest.mark.slow
def test_workers_train_in_turn_and_say_why_they_do_not(tmp_path, monkeypatch):
    case = CASES[0]
    write_data(case, 32, tmp_path / "data.npz")
    python = training.OURS
    starts = {
        "plain": Start(python, "in_torch", ("plain",)),
        "loader": Start(python, "in_torch", ("loader",)),
        "unknown kind": Start(python, "in_torch", ("no_such_kind",)),
        "absent": Start(tmp_path / "no" / "python", "in_torch"),
    }
    told = {"model": case.model, "settings": case.settings, "shape": case.shape, "batch_size": 16}
    told["data"] = str(tmp_path / "data.npz")
    with started(starts, 1, tmp_path) as contestants:
        for _ in range(2):  # the workers stay
            seconds, why = compete(contestants, told, repeats=2)
            assert {name: len(found) for name, found in seconds.items()} == {"plain": 2, "loader": 2}
            assert all(second > 0 for found in seconds.values() for second in found)
            if sys.platform == "linux":
                peaks = {c.name: c.peaks for c in contestants if c.peaks}
                assert {name: len(found) for name, found in peaks.items()} == {"plain": 3, "loader": 3}  # one warms up
                assert all(peak > 100 * 2**20 for found in peaks.values() for peak in found)  # PyTorch alone
            assert why == {"unknown kind": "its process ended (KeyError: 'no_such_kind')", "absent": "not installed"}
        wrong, reasons = compete(contestants, told | {"model": "no_such_model"}, repeats=1)
        assert not wrong
        assert reasons["plain"] == "KeyError: 'no_such_model'"
    assert all(c.process.returncode is not None for c in contestants if isinstance(c, Contestant) and not c.gone)


def row(contestant, seconds, case="fc", batch=16):
    about = {"part": "training", "case": case, "batch": batch, "instances": 32, "step_flops": 2**31}
    return about | {"contestant": contestant, "seconds": seconds}


def test_tables_say_throughput_ratios_limit_and_the_peers_versions():
    rows = [
        {"part": "training", "peers": {"tsai": "1.0.1", "torch": "2.13.0"}},
        row("tsmtl", [1.0, 2.0, 2.0]),
        row("loader", [1.6, 3.2, 3.6]),  # 1.6, 1.6 and 1.8 times
        row("product, float32", [0.25, 0.5, 0.5]),  # two steps of one product's work take four products' time
        {"part": "training", "case": "fc", "batch": 16, "contestant": "tsai", "why": "not installed"},
    ]
    shown = training.tables(rows)
    more = training.tables([*rows, row("tsmtl", [1.0], case="gru")])
    assert "Not measured: tsai for fc (not installed)." in more
    assert "| fc | 16 | 16 | - | 1.60 (1.60-1.70) | - | - | 50 |" in shown
    assert "Not measured: tsai (not installed)." in shown
    assert shown.startswith("Peers: tsai 1.0.1, torch 2.13.0.\n\n| model |")
    assert "tsmtl, native: instances/s" not in shown
    assert "float32 4 GFLOP/s" in shown


def test_peak_memory_has_a_table_where_it_is_known():
    rows = [row("tsmtl", [1.0]) | {"peak": 300 * 2**20}, row("loader", [1.0]), row("product, float32", [1.0])]
    shown = training.tables(rows)
    assert "| model | batch | tsmtl | DataLoader loop |" in shown
    assert "| fc | 16 | 300 | - |" in shown
    assert "Peak memory" not in training.tables([row("tsmtl", [1.0]), row("product, float32", [1.0])])


@pytest.mark.skipif(sys.platform != "linux", reason="what says a process's peak memory is Linux's")
def test_a_peak_is_that_of_a_round():
    rounds.forget_peak()
    before = rounds.peak()
    held = bytearray(64 * 2**20)
    most = rounds.peak()
    del held
    rounds.forget_peak()
    assert 60 * 2**20 < most - before < 70 * 2**20
    assert rounds.peak() < most - 50 * 2**20


def test_native_kernels_have_a_table_that_begins_with_those_of_torch():
    rows = [
        row("tsmtl", [1.0, 2.0, 2.0], "cnn1d"),
        row("tsmtl, native", [0.5, 1.0, 1.6], "cnn1d"),  # 2, 2 and 1.25 times
        row("loader", [1.6, 3.2, 3.2], "cnn1d"),
        row("product, float32", [0.25, 0.5, 0.5], "cnn1d"),
        row("tsmtl", [1.0, 1.0, 1.0]),
    ]
    shown = training.tables(rows)
    (header,) = [line for line in shown.splitlines() if "tsmtl, native: instances/s" in line]
    assert header.startswith("| model | batch | tsmtl, native: instances/s | of tsmtl | of plain loop |")
    table = shown[shown.index(header) :].split("\n\n")[0]
    assert "| cnn1d | 16 | 32 | 2.00 (1.62-2.00) | - | 3.20 (2.60-3.20) | - | - | 100 |" in table
    assert "| fc |" not in table


def test_models_without_kernels_are_not_trained_natively_for_nothing():
    for case in CASES:
        backbone = build_backbone(case.model, case.settings, case.shape[0], case.shape[1] if case.shape[1:] else None)
        has_some = any(isinstance(module, WithKernels) for module in backbone.modules())
        assert has_some == (case.model in training.WITH_KERNELS)


@pytest.mark.parametrize(
    ("name", "model", "takes_part"),
    [
        ("tsmtl", "gru", True),
        ("tsmtl, bf16", "gru", False),  # which stays float32
        ("tsmtl, native bf16", "gru", False),
        ("tsmtl, native", "gru", True),
        ("tsmtl, bf16", "lstm", True),
        ("tsmtl, native", "lstm", False),  # which has no kernels
        ("tsmtl, native bf16", "cnn1d", True),
        ("plain", "gru", True),
    ],
)
def test_no_model_is_measured_under_a_name_that_it_does_not_train_by(name, model, takes_part):
    assert training.takes_part(name, model) == takes_part
