"""Representations that are trained: by the loop of every training, and what something that ends it leaves."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import tsmtl
from tests.conftest import ROOT
from tests.processor import needs_bf16
from tsmtl.checkpoint.archive import write_archive
from tsmtl.checkpoint.last import read_last
from tsmtl.representation.registry import TRAINED
from tsmtl.representation.ts2vec import Views

SMALL = {
    "ts2vec": ["representation=ts2vec", "embed_dim=8", "hidden_size=8", "depth=3", "batch_size=8"],
    "contrastive": ["representation=contrastive", "features=12", "head_size=4", "layers=1", "batch_size=8"],
    "masked": ["representation=masked", "heads=2", "head_size=6", "inner_size=16", "layers=2", "batch_size=8"],
}
EASY = {  # views that are much alike
    "contrastive": ["strong_jitter=0.1", "strong_segments=2", "dropout=0.0", "readout=mean", "context_dropout=0.0"],
}
STEPS = 24
ALL = sorted(SMALL)
ONE_AND_SLOWLY_ALL = ["ts2vec", *(pytest.param(m, marks=pytest.mark.slow) for m in ALL if m != "ts2vec")]


def words_of(method: str, steps: int = 12, *more: str) -> list[str]:
    """Give the words of a small fit of series.npz."""
    own = [word if word.startswith("representation=") else f"representation.{word}" for word in SMALL[method]]
    data = ["data=npz", "data.path=series.npz", "data.split_key=part", "data.lengths_key=lengths"]
    return [*data, *own, f"representation.steps={steps}", "output=v.npz", "device=cpu", *more]


@pytest.fixture
def series(tmp_path, monkeypatch):
    """90 series of unequal lengths with gaps; ``part`` is the split."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = (rng.normal(size=(90, 2, STEPS)) + np.sin(np.arange(STEPS) * (1 + y[:, None, None]) / 3)).astype(np.float32)
    x[::7, 1, 5] = np.nan
    lengths = np.where(np.arange(90) % 3, STEPS, rng.integers(12, STEPS + 1, 90))
    x[np.broadcast_to(np.arange(STEPS) >= lengths[:, None, None], x.shape)] = 0
    part = np.repeat(["train", "val", "test"], [50, 20, 20])
    content = {"X": x, "lengths": lengths, "y_cls": np.array(["low", "mid", "top"])[y], "y_reg": y + 0.5, "part": part}
    np.savez("series.npz", **content)
    return content


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_trained_method_is_here():
    assert set(SMALL) == set(TRAINED)


@pytest.mark.parametrize("method", ALL)
def test_a_fit_leaves_its_losses_and_no_state(series, tsmtl_represent, tmp_path, method):
    answer = tsmtl_represent(*words_of(method))
    assert answer.code == 0, answer.err
    rows = rows_of("v.metrics.csv")
    assert [int(row["epoch"]) for row in rows] == [1, 2]  # 12 steps are two epochs of 50 series by 8
    assert not [name for name in rows[0] if name.startswith(("val", "test"))]
    parts = [name for name in rows[0] if name.startswith("train/") and name != "train/loss"]
    assert parts
    assert all(float(row[name]) > 0 for row in rows for name in ("train/loss", *parts))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["series.npz", "v.metrics.csv", "v.npz", "v.transform.pt"]
    assert f"{method}: " in answer.err
    assert "2 epochs of 7 steps on cpu" in answer.err


@pytest.mark.parametrize(("steps", "said", "seen"), [(3, "1 epochs of 3 steps", 24), (8, "2 epochs of 7 steps", 100)])
def test_fewer_steps_than_an_epoch_has_are_taken_as_asked(series, tsmtl_represent, monkeypatch, steps, said, seen):
    forward, batches = Views.forward, []

    def noted(self, x, lengths=None):
        batches.append(len(x))
        return forward(self, x, lengths)

    monkeypatch.setattr(Views, "forward", noted)
    answer = tsmtl_represent(*words_of("ts2vec", steps))
    assert answer.code == 0, answer.err
    assert said in answer.err
    assert sum(batches) == seen


def test_settings_of_trainings_that_a_method_has_its_own_of_are_warned_of(series, tsmtl_represent):
    words = ["lr=0.01", "num_epochs=2", "trainer.weight_decay=0.1", "seed=1", "data.missing=mean"]
    answer = tsmtl_represent(*words_of("ts2vec", 7, *words))
    assert answer.code == 0, answer.err
    assert [line for line in answer.lines if line.startswith("warning")] == [
        f"warning: {key}: is a setting of trainings and not read here; representation.{own} is read"
        for key, own in {"lr": "lr", "num_epochs": "steps", "trainer.weight_decay": "weight_decay"}.items()
    ]
    assert "warning" not in tsmtl_represent(*words_of("ts2vec", 7)).err


@pytest.mark.parametrize("method", ALL)
def test_the_loss_falls(series, tsmtl_represent, method):
    own = [f"representation.{word}" for word in EASY.get(method, [])]
    assert tsmtl_represent(*words_of(method, 140, "representation.lr=3e-3", *own)).code == 0
    losses = [float(row["train/loss"]) for row in rows_of("v.metrics.csv")]
    assert np.mean(losses[-3:]) < 0.9 * losses[0]


@pytest.mark.parametrize("method", ONE_AND_SLOWLY_ALL)
def test_another_process_makes_the_same_bytes_and_vectors(series, tsmtl_represent, tmp_path, method):
    words = [*words_of(method), "trainer.threads=1"]
    fit = "import sys; from tsmtl.represent import cli; sys.argv[0] = 'tsmtl-represent'; cli()"
    apply = "import numpy as np, tsmtl; f = np.load('series.npz'); t = tsmtl.load_transform('v.transform.pt'); "
    apply += "np.save('again.npy', t.transform(f['X'], f['lengths']))\n"
    found = []
    for script in (fit, apply + fit):  # one process applies what another has fitted, and then fits the same itself
        subprocess.run([sys.executable, "-c", script, *words], check=True, timeout=120)
        found.append([(tmp_path / name).read_bytes() for name in ("v.npz", "v.transform.pt")])
    assert found[0] == found[1]
    with np.load("v.npz") as file:
        np.testing.assert_array_equal(np.load("again.npy"), file["X"])
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)  # as Numba leaves it where it has worked
    try:
        assert tsmtl_represent(*words).code == 0
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert [(tmp_path / name).read_bytes() for name in ("v.npz", "v.transform.pt")] == found[0]


@pytest.mark.parametrize("method", ONE_AND_SLOWLY_ALL)
def test_killed_at_random_moments_a_fit_ends_as_if_nothing_had_been(series, tmp_path, method):
    words = [word for word in words_of(method, 60) if not word.startswith("output=")]
    command = [sys.executable, str(ROOT / "tests/killed_fits.py"), str(tmp_path), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ends"] == [-signal.SIGKILL] * 5
    assert found["last"] == 0
    assert found["progress"][0] != found["progress"][-1]
    assert any(losses for _, losses in found["progress"])  # some ended within an epoch
    assert (tmp_path / "killed.transform.pt").read_bytes() == (tmp_path / "whole.transform.pt").read_bytes()
    with np.load("killed.npz") as killed, np.load("whole.npz") as whole:
        np.testing.assert_array_equal(killed["X"], whole["X"])
    of_both = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in rows_of(f"{name}.metrics.csv")]
        for name in ("killed", "whole")
    ]
    assert of_both[0] == of_both[1]
    assert not (tmp_path / "killed.last.pt").exists()


@pytest.mark.parametrize(("signum", "word"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")])
def test_a_signal_leaves_a_state_and_the_words_to_go_on(series, tmp_path, signum, word):
    words = words_of("ts2vec", 100_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "tsmtl.represent", *words], stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    state = tmp_path / "v.last.pt"
    while not state.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    last = err.splitlines()[-1]
    assert last.startswith(f"tsmtl-represent: {word} in epoch ")
    assert last.endswith(" of 14286; to go on, give the same command with resume=true")
    assert "Traceback" not in err
    read_last(state)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["series.npz", "v.last.pt", "v.metrics.csv"]


@pytest.fixture
def unfinished(series, tsmtl_represent, stopped_at):
    """A fit of ts2vec that was ended at its tenth step."""
    stopped_at(10)
    answer = tsmtl_represent(*words_of("ts2vec", 20))
    assert answer.code == 143
    return answer


def test_after_a_signal_a_fit_goes_on_exactly(series, tsmtl_represent, unfinished, tmp_path):
    state = read_last(tmp_path / "v.last.pt")["fit"]
    assert len(state["history"]) == 1
    assert len(state["losses"]) == 3 * 3  # the third step of the second epoch: the loss and its two parts
    assert tsmtl_represent(*words_of("ts2vec", 20, "resume=true")).code == 0
    resumed = (tmp_path / "v.transform.pt").read_bytes()
    assert tsmtl_represent(*words_of("ts2vec", 20)).code == 0
    assert (tmp_path / "v.transform.pt").read_bytes() == resumed


def test_an_unfinished_fit_is_not_overwritten(series, tsmtl_represent, unfinished):
    answer = tsmtl_represent(*words_of("ts2vec", 20))
    assert answer.code == 2
    assert answer.lines[-1] == (
        f"tsmtl-represent: output: {Path('v.last.pt')} holds an unfinished training; resume=true goes on with it, or "
        "remove it to start anew"
    )


@pytest.mark.parametrize("method", ["summary", "masked"])
def test_a_fit_of_another_method_leaves_an_unfinished_one_alone(series, tsmtl_represent, unfinished, method):
    state = Path("v.last.pt").read_bytes()
    words = [word for word in words_of("ts2vec") if not word.startswith("representation")]
    answer = tsmtl_represent(*words, f"representation={method}")
    assert answer.code == 2
    assert answer.lines[-1].startswith("tsmtl-represent: output: v.last.pt holds an unfinished training; resume=true")
    answer = tsmtl_represent(*words, f"representation={method}", "resume=true")
    assert answer.code == 2
    assert [line for line in answer.lines if line.startswith("tsmtl-represent")] == [
        f"tsmtl-represent: representation: {method} differs from the training in v.last.pt, which is of ts2vec; remove "
        "it, or name another output"
    ]
    assert Path("v.last.pt").read_bytes() == state
    assert not Path("v.npz").exists()


def test_a_fit_goes_on_with_its_own_settings_and_data(series, tsmtl_represent, unfinished):
    answer = tsmtl_represent(*words_of("ts2vec", 20, "representation.lr=0.01", "seed=3", "resume=true"))
    assert answer.code == 2
    assert [line for line in answer.lines if line.startswith("tsmtl-represent")] == [
        "tsmtl-represent: representation.lr: 0.01 differs from the training in v.last.pt, where it is 0.001; it goes "
        "on with its own settings",
        "tsmtl-represent: seed: 3 differs from the training in v.last.pt, where it is 0; it goes on with its own "
        "settings",
    ]
    x = series["X"].copy()
    x[0] += 1
    np.savez("series.npz", **series | {"X": x})
    answer = tsmtl_represent(*words_of("ts2vec", 20, "resume=true"))
    assert answer.lines[-1] == ("tsmtl-represent: data.path: the data is not what the training in v.last.pt began with")


def test_a_damaged_state_is_refused_with_a_line(series, tsmtl_represent, unfinished, tmp_path):
    path = tmp_path / "v.last.pt"
    path.write_bytes(path.read_bytes()[:-500])
    answer = tsmtl_represent(*words_of("ts2vec", 20, "resume=true"))
    assert answer.code == 2
    assert answer.lines[-1].startswith("tsmtl-represent: v.last.pt: damaged or cut off")
    assert answer.lines[-1].endswith("or remove it to start the training anew")


def test_killed_after_the_training_only_the_vectors_are_made_again(series, tsmtl_represent, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("tsmtl.represent_data.vector_file", _full)
        assert tsmtl_represent(*words_of("ts2vec")).code == 1
    assert (tmp_path / "v.last.pt").exists()
    with monkeypatch.context() as patch:
        patch.setattr("tsmtl.training.optimizers.FusedAdam.step", _never)
        answer = tsmtl_represent(*words_of("ts2vec", 12, "resume=true"))
    assert answer.code == 0, answer.err
    assert not (tmp_path / "v.last.pt").exists()


def _full(*given):
    raise OSError(28, "No space left on device")


def _never(*given):
    raise AssertionError("a step")


def test_a_loss_that_is_not_finite_ends_with_a_line(series, tsmtl_represent, tmp_path):
    x = series["X"].copy()
    x[series["part"] == "train"] *= 1e30
    np.savez("series.npz", **series | {"X": x})
    answer = tsmtl_represent(*words_of("ts2vec", 12, "data.scale=none"))
    assert answer.code == 1
    assert answer.lines[-1].startswith("tsmtl-represent: the loss is ")
    assert answer.lines[-1].endswith(
        " at epoch 1, step 1 of 7; a smaller representation.lr or representation.gradient_clip may help"
    )
    assert not (tmp_path / "v.last.pt").exists()


OF_THE_PROCESSOR = "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(OF_THE_PROCESSOR)])
def test_a_batch_beyond_the_memory_ends_with_a_line_and_a_smaller_one_may_begin(
    series, tsmtl_represent, monkeypatch, error
):
    def fail(*given):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("tsmtl.representation.ts2vec.Views.forward", fail)
        answer = tsmtl_represent(*words_of("ts2vec", 12))
    assert answer.code == 1
    assert answer.lines[-1] == (
        "tsmtl-represent: not enough memory for representation.batch_size=8; take a smaller one"
    )
    assert tsmtl_represent(*words_of("ts2vec", 12, "representation.batch_size=4")).code == 0


def test_a_network_beyond_the_memory_ends_with_a_line(series, tsmtl_represent, tmp_path, monkeypatch):
    def fail(*given):
        raise RuntimeError(OF_THE_PROCESSOR)

    monkeypatch.setattr("tsmtl.representation.ts2vec.Views.__init__", fail)
    answer = tsmtl_represent(*words_of("ts2vec", 12))
    assert answer.code == 1
    assert answer.lines[-1] == "tsmtl-represent: not enough memory for the network; make it smaller"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["series.npz"]


def test_a_failure_before_the_first_step_leaves_no_state(series, tsmtl_represent, tmp_path, monkeypatch):
    def fail(*given):
        raise RuntimeError("no kernel")

    monkeypatch.setattr("tsmtl.representation.ts2vec.Views.forward", fail)
    answer = tsmtl_represent(*words_of("ts2vec", 12))
    assert answer.code == 1
    assert answer.lines[-1].startswith("tsmtl-represent: failed: RuntimeError: no kernel")
    assert not (tmp_path / "v.last.pt").exists()


@pytest.mark.parametrize("method", ALL)
def test_loading_leaves_the_random_numbers_of_a_script_as_they_were(series, tsmtl_represent, method):
    assert tsmtl_represent(*words_of(method, 2)).code == 0
    before = torch.random.get_rng_state()
    tsmtl.load_transform("v.transform.pt")
    assert torch.equal(torch.random.get_rng_state(), before)


@needs_bf16
@pytest.mark.parametrize("method", ALL)
def test_bfloat16_is_for_the_training_alone(series, tsmtl_represent, method):
    found = {}
    for precision in ("float32", "bf16"):
        assert tsmtl_represent(*words_of(method, 12, f"representation.precision={precision}")).code == 0
        transform = tsmtl.load_transform("v.transform.pt")
        found[precision] = np.load("v.npz")["X"]
        state = transform.representation.encoder.state_dict()
        assert {tensor.dtype for tensor in state.values()} <= {torch.float32, torch.int64}
        again = transform.transform(series["X"], series["lengths"])
        np.testing.assert_allclose(again, found[precision], rtol=1e-4, atol=1e-5)
    assert not np.array_equal(found["float32"], found["bf16"])
    np.testing.assert_allclose(found["bf16"], found["float32"], rtol=0.3, atol=0.3)


def test_series_that_are_read_a_batch_at_a_time_train_the_same(series, tsmtl_represent, tmp_path):
    words = words_of("ts2vec")
    assert tsmtl_represent(*words).code == 0
    whole = np.load("v.npz")["X"]
    (tmp_path / "folder").mkdir()
    for name, array in series.items():
        np.save(tmp_path / "folder" / {"X": "X", "lengths": "lengths"}.get(name, name), array)
    answer = tsmtl_represent(*[w.replace("series.npz", "folder") for w in words])
    assert answer.code == 0, answer.err
    np.testing.assert_array_equal(np.load("v.npz")["X"], whole)


def test_states_of_other_kinds_are_no_state_of_a_fit(series, tsmtl_represent, tmp_path):
    write_archive(tmp_path / "v.last.pt", {"format_version": 1, "model": {}})
    answer = tsmtl_represent(*words_of("ts2vec", 12, "resume=true"))
    assert answer.code == 2
    assert "v.last.pt: not the state of a run, it lacks settings" in answer.lines[-1]


REFUSED = {
    "representation.kernel_size=4": "representation.kernel_size: must be one of 3, 5, 7",
    "representation.depth=21": "representation.depth: must be a whole number in [1, 20]",
    "representation.lr=1": "representation.lr: must be a number in (0, 0.1]",
    "representation.steps=0": "representation.steps: must be a whole number, at least 1",
    "representation.hidden_share=1.0": "representation.hidden_share: must be a number in [0, 1)",
    "representation.precision=fp16": "representation.precision: must be one of float32, bf16",
    "representation.num_features=100": "representation.num_features: not a setting of representation=ts2vec, but of",
    "representation.weight_averag=1.0": "representation.weight_averag: unknown setting; did you mean",
    "representation=contrastive representation.batch_size=1": "representation.batch_size: must be a whole number, at",
    "representation=masked representation.hidden_share=0.7": "representation.hidden_share: must be a number in (0, 0.5",
    "device=cuda": "device: cuda was asked for",
}


@pytest.mark.parametrize("word", REFUSED)
def test_wrong_settings_are_refused_with_a_line(series, tsmtl_represent, tmp_path, word):
    if word == "device=cuda" and torch.cuda.is_available():
        return
    chosen = words_of("ts2vec")
    if word.startswith("representation="):
        chosen = [w for w in chosen if not w.startswith("representation")]
    answer = tsmtl_represent(*[w for w in chosen if w != "device=cpu"], *word.split())
    assert answer.code == 2
    assert any(line.startswith(f"tsmtl-represent: {REFUSED[word]}") for line in answer.lines), answer.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["series.npz"]
