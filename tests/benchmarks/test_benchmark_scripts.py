"""The benchmarks that stand by themselves: what they compare, and with which sizes."""

import subprocess
import sys

import pytest
import torch
import yaml

from benchmarks import precision_speed, prediction, scaling, shared_core, sweep_throughput
from benchmarks.cases import BY_NAME, CASES, MODELS, model_of, split_of
from benchmarks.stock_models import stock_model
from benchmarks.table import Spread, spread
from benchmarks.workers import in_torch, rounds
from tests.conftest import ROOT
from tsmtl.config.python_call import settings_and_folder


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_case_has_the_sizes_of_the_model_as_it_is_composed(name):
    case = BY_NAME[name]
    composed = settings_and_folder([f"model={name}"])[0].flat
    assert {key: composed[key] for key in case.settings} == case.settings
    assert case.batch_size == composed["batch_size"]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_is_built_of_a_case_is_the_size_of_the_stock_model(case):
    ours, stock = (
        sum(p.numel() for p in m.parameters())
        for m in (model_of(case), stock_model(case.model, case.shape, case.settings))
    )
    assert ours == stock
    split = split_of(case, 3)
    assert model_of(case)(split.x)["cls"].shape == (3, len(torch.bincount(torch.arange(4))))


def test_tsais_sizes_are_the_same_wherever_they_are_measured():
    assert precision_speed.MODELS["lstm_fcn, tsai's sizes"] is BY_NAME["lstm_fcn, tsai's sizes"]
    with_se = precision_speed.MODELS["lstm_fcn, tsai's sizes, with SE"]
    assert with_se.settings == BY_NAME["lstm_fcn, tsai's sizes"].settings | {"squeeze_excite": True}


def test_each_sweep_is_compared_with_one_process_that_does_the_same():
    kinds = sweep_throughput.kinds_of(["a=1"], ["a=2"], ["data=table"])
    for kind, (_, words) in kinds.items():
        code, alone = kinds[sweep_throughput.compared_with(kind)]
        assert code == sweep_throughput.ON_CORE
        if kind.endswith("sweep"):
            assert alone == [*words, *sweep_throughput.ONE_PROCESS]
    assert kinds["no pictures, sweep"][1] == ["a=1", "trainer.pictures=false"]


def test_a_sweeps_ratios_are_per_core_and_alone_stand_on_stdout(monkeypatch, capsys):
    def took(code, words, core):
        alone = {"trainer.threads=1"} & {*words}
        return sweep_throughput.Took((6.0 if "trainer.pictures=false" in words else 8.0) if alone else 4.0, 2.0)

    monkeypatch.setattr(sweep_throughput, "seconds_of", took)
    monkeypatch.setattr(sweep_throughput.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(sys, "argv", ["sweep_throughput", "--repeats", "2", "--rows", "10"])
    sweep_throughput.main()
    printed = capsys.readouterr()
    assert "| one process, one thread | 8.0 (8.0-8.0) | 2.0 | - | - |" in printed.out  # itself
    assert "| sweep | 4.0 (4.0-4.0) | 2.0 | 1.00 (1.00-1.00) | 0.50 (0.50-0.50) |" in printed.out  # 8 / 4 / 2
    assert "| no pictures, sweep | 4.0 (4.0-4.0) | 2.0 | 0.75 (0.75-0.75) | 0.50 (0.50-0.50) |" in printed.out
    assert "40 epochs, longer jobs 200; ratios to one process with one thread, per core\n\n| 16 jobs |" in printed.out
    assert "repeat 1" not in printed.out
    assert "repeat 1" in printed.err


def test_the_command_predicts_with_its_shipped_defaults(tmp_path):
    shipped = yaml.safe_load((ROOT / "configs" / "predict.yaml").read_text())
    found = prediction.settings_of(tmp_path / "best_model.pt", tmp_path / "out.csv")
    assert (found.level, found.batch_size) == (shipped["level"], shipped["batch_size"])
    assert found.level is not None


def test_a_busy_neighbour_costs_what_two_rows_of_a_turn_say():
    found = {name: {"fc": [1.0, 2.0, 3.0]} for name in shared_core.SETTINGS}
    found[shared_core.OURS] = {"fc": [1.5, 4.0, 9.0]}  # 1.5, 2 and 3 times
    table = shared_core.table_of(found)
    assert "| one thread | 2.00 |" in table
    assert "| tsmtl | 4.00 |" in table
    assert f"| tsmtl, times one thread | {Spread(2.0, 1.75, 2.5).said()} |" in table
    assert spread([1.5, 2.0, 3.0]) == Spread(2.0, 1.75, 2.5)


@pytest.mark.skipif(sys.platform != "linux", reason="what says a process's peak memory is Linux's")
def test_a_peak_is_not_that_of_the_process_that_started_it():
    held = bytearray(200 * 2**20)
    code = "from benchmarks.workers.rounds import peak; print(peak())"
    told = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert int(told) < 100 * 2**20 < len(held)
    assert scaling.peak is rounds.peak


def test_a_worker_answers_its_versions():
    code = "from benchmarks.workers.rounds import serve; serve(print, 'pytest', 'no-such-package')"
    told = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True, input="versions\n")
    assert f'"pytest": "{pytest.__version__}"' in told
    assert f'"torch": "{torch.__version__}"' in told
    assert "no-such-package" not in told


def test_products_of_all_sizes_are_said_as_one(monkeypatch):
    times = iter(range(100))
    monkeypatch.setattr(in_torch, "CLOCK", lambda: float(next(times)))
    monkeypatch.setattr(in_torch, "WARM_SECONDS", 1.0)
    seconds_of = in_torch._multiplication(in_torch.SIDE // 4, torch.float32)
    # The clock goes on by 1 whenever it is read: one product, between two readings, of a sixty-fourth of the work.
    assert seconds_of(1.0) == 64 * 2.0


def test_the_fastest_product_is_taken_and_long_ones_are_not_tried(monkeypatch):
    rates = {512: 2.0, 1024: 1.0, 2048: 3.0}  # seconds, each said for SIDE rows
    tried = []

    def multiplication(side, dtype):
        tried.append(side)
        return lambda least: rates[side] * scale

    monkeypatch.setattr(in_torch, "_multiplication", multiplication)
    scale = 0.01
    assert in_torch._fastest.__wrapped__(torch.float32)(0.1) == 0.01
    assert tried == [512, 1024, 2048]
    scale = 1.0  # the next would take 2 seconds
    assert in_torch._fastest.__wrapped__(torch.bfloat16)(0.1) == 2.0
    assert tried[3:] == [512]


def test_tsmtls_steps_are_measured_in_the_environment_that_they_train_in():
    """Without it each pays for denormal numbers and freed memory; a GPU's steps do not."""
    training = {path.name: path.read_text() for path in (ROOT / "benchmarks").glob("*.py") if path.name != "gpu.py"}
    training = {name: text for name, text in training.items() if " tsmtl_loop(" in text.replace("def tsmtl_loop(", "")}
    assert len(training) > 4
    assert not [name for name, text in training.items() if "step_environment()" not in text]
