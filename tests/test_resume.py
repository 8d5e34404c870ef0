"""Runs that something ends: what they leave, and that they go on exactly."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import tsmtl
from tests.conftest import ROOT
from tests.test_train import SMALL, TINY_MODEL, rows_of
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.checkpoint.last import read_last

LSTM = ["model=lstm", *TINY_MODEL["lstm"], *SMALL]
CNN = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL]
GRU = ["model=gru", *TINY_MODEL["gru"], *SMALL, "dropout=0.5"]


def assert_same(ours: Any, theirs: Any, where: str = "") -> None:
    """Check nested values for equality to the last bit, but for seconds and what names the folder."""
    assert type(ours) is type(theirs), where
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for key in ours:
            if key not in ("seconds", "spent", "resume"):
                assert_same(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), where
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    elif isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), where
    else:
        assert ours == theirs or ours != ours, where


def assert_same_run(ours: Path, theirs: Path) -> None:
    """Check weights, optimiser, history, best checkpoint and predictions of two run folders."""
    assert {path.name for path in ours.glob("*.pt")} == {path.name for path in theirs.glob("*.pt")}
    for best in ours.glob("best_*.pt"):
        assert_same(read_checkpoint(best), read_checkpoint(theirs / best.name))
    assert_same(read_last(ours / "last.pt"), read_last(theirs / "last.pt"))
    rows = [[dict(row, seconds="") for row in rows_of(folder / "metrics.csv")] for folder in (ours, theirs)]
    assert rows[0] == rows[1]
    predictions = [(folder / "predictions_test.csv").read_bytes() for folder in (ours, theirs)]
    assert predictions[0] == predictions[1]


CASES = {
    "both tasks, batch norm, dropout, cosine, all changes of the input, a share of an epoch, averaged, in bf16": [
        *("model=lstm_fcn_multi", *TINY_MODEL["lstm_fcn_multi"], "trainer.schedule=cosine", "trainer.warmup_epochs=2"),
        *("batch_size=8", "num_epochs=12", "trainer.sampler=balanced", "trainer.epoch_fraction=0.9", "weighting=famo"),
        *("trainer.weight_average=0.9", "trainer.keep=last", "trainer.best_per_task=true", "trainer.conflict=epoch"),
        "trainer.precision=bf16",
        "data.augment=[{jitter:0.1},{scaling:0.1},{time_mask:0.1},{channel_mask:0.1},{window_warp:0.5},{mixup:0.2}]",
    ],
    "fine-tuning, frozen at first, plateau": [
        *(*LSTM[:2], "stage=finetune", "pretrained_path=first/best_model.pt"),
        *("trainer.unfreeze_at=6", "trainer.lr_backbone_factor=0.3", "trainer.schedule=plateau"),
        *("trainer.plateau_patience=1", "trainer.optimizer=sgd", "trainer.weight_decay=0.01", "batch_size=8"),
        *("num_epochs=12", "trainer.monitor=val/cls/macro_f1", "trainer.sampler=both_tasks"),
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_killed_at_20_random_moments_a_run_ends_as_if_nothing_had_been(tsmtl_train, tmp_path, name):
    settings = ["device=cpu", "data.n_instances=60", "data.test_fraction=0.3", "lr=1e-3", *CASES[name]]
    if "stage=finetune" in settings:
        first = [*LSTM, "task=reg", "num_epochs=2", "hydra.run.dir=first"]
        assert tsmtl_train(*first).code == 0
    command = [sys.executable, str(ROOT / "tests/killed_runs.py"), str(tmp_path), "0", *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ends"] == [-signal.SIGKILL] * 20, said
    assert said["progress"] == sorted(said["progress"])
    assert len(set(said["progress"])) > 2, "the kills fell into different epochs"
    assert said["last"] == 0
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def start(tmp_path: Path, *settings: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", "from tsmtl.train import cli; cli()", *settings]
    return subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background shell ignores it
    )


def wait_for(process: "subprocess.Popen[str]", path: Path, rows: int, pattern: str = "") -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        for file in path.glob(pattern) if pattern else [path]:
            if file.exists() and len(file.read_text().splitlines()) > rows:
                return
        time.sleep(0.05)
    raise AssertionError(process.communicate(timeout=5))


@pytest.mark.parametrize(
    ("signum", "code", "word", "chosen"),
    [
        (signal.SIGTERM, 143, "terminated", [*CNN, "batch_size=1"]),
        (signal.SIGINT, 130, "interrupted", [*GRU, "batch_size=4"]),
    ],
)
def test_a_signal_leaves_a_state_that_goes_on_exactly(tsmtl_train, tmp_path, signum, code, word, chosen):
    settings = [*chosen, "num_epochs=25", "hydra.run.dir=cut"]
    process = start(tmp_path, *settings)
    try:
        wait_for(process, tmp_path / "cut/metrics.csv", rows=2)
        process.send_signal(signum)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == code, err
    line = err.splitlines()[-1]
    assert line.startswith(f"tsmtl-train: {word} in epoch ")
    assert line.endswith(f"hydra.run.dir={tmp_path / 'cut'} resume=true")
    assert "Traceback" not in err
    assert out == ""
    state = read_last(tmp_path / "cut/last.pt")["fit"]
    assert len(state["history"]) < 25
    assert set(tsmtl.load_model(tmp_path / "cut/best_model.pt").tasks) == {"cls", "reg"}
    for folder, more in (("cut", ["resume=true"]), ("whole", [])):
        answer = tsmtl_train(*settings[:-1], f"hydra.run.dir={folder}", *more)
        assert answer.code == 0, answer.err
    assert "resume: going on in" in (tmp_path / "cut/train.log").read_text()
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_full_disk_is_one_line_and_exit_1_and_the_old_best_stays(tsmtl_train, tmp_path):
    settings = [*CNN, "output_channels=64", "hydra.run.dir=run", "num_epochs=3"]
    assert tsmtl_train(*settings).code == 0
    (tmp_path / "run/summary.json").unlink()  # as if it had been killed at the end
    before = {name: (tmp_path / "run" / name).read_bytes() for name in ("best_model.pt", "last.pt", "metrics.csv")}
    limit = 60_000  # bytes of one file: enough for tables, not for a model of this size
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    command = [sys.executable, "-c", code + "from tsmtl.train import cli; cli()", *settings, "resume=true"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the run failed: cannot write ")
    assert "Traceback" not in done.stderr
    assert before == {name: (tmp_path / "run" / name).read_bytes() for name in before}
    assert not list((tmp_path / "run").glob("*.tmp"))
    assert tsmtl_train(*settings, "resume=true").code == 0, "with room again, it ends"


def test_a_run_in_the_folder_of_a_finished_one_leaves_nothing_of_it(tsmtl_train, tmp_path):
    assert tsmtl_train(*CNN, "hydra.run.dir=a").code == 0
    before = (tmp_path / "a/best_model.pt").read_bytes()
    answer = tsmtl_train(
        *CNN, "hydra.run.dir=a", "lr=0.1", "trainer.optimizer=sgd", "trainer.momentum=0.999", "num_epochs=3"
    )
    assert answer.code == 0, answer.err
    assert (tmp_path / "a/best_model.pt").read_bytes() != before
    assert len(rows_of(tmp_path / "a/metrics.csv")) == 3


def test_a_run_that_failed_is_not_one_to_go_on_with(tsmtl_train, tmp_path):
    fails = ["lr=0.1", "trainer.optimizer=sgd", "trainer.momentum=0.999", "num_epochs=300", "task=reg"]
    answer = tsmtl_train(*CNN, *fails, "data.scale_target=none", "hydra.run.dir=a")
    assert answer.code == 1
    assert "the loss is" in answer.lines[-1]
    assert tsmtl_train(*CNN, "task=reg", "hydra.run.dir=a").code == 0


@pytest.fixture
def cut(tsmtl_train, tmp_path) -> Path:
    """A run folder as a kill during the test leaves it: all but the summary, which is written last."""
    assert tsmtl_train(*CNN, "num_epochs=4", "hydra.run.dir=cut").code == 0
    (tmp_path / "cut/summary.json").unlink()
    return tmp_path / "cut"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["lr=2e-3"], "lr: 0.002 differs from the run in {}, where it is 0.001"),
        (["num_epochs=9"], "num_epochs: 9 differs from the run in {}, where it is 4"),
        (["trainer.weight_decay=0.1"], "trainer.weight_decay: 0.1 differs from the run in {}, where it is 0.0"),
        (["best_model_path=x.pt"], "best_model_path: x.pt differs from the run in {}, where it is null"),
        (["task=cls"], "task: cls differs from the run in {}, where it is multi"),
    ],
)
def test_other_settings_than_the_folders_are_refused_by_name(tsmtl_train, cut, change, said):
    before = {path: path.read_bytes() for path in cut.iterdir()}
    answer = tsmtl_train(*CNN, "num_epochs=4", "hydra.run.dir=cut", "resume=true", *change)
    assert answer.code == 2
    assert any(said.format(cut) in line for line in answer.lines), answer.err
    assert before == {path: path.read_bytes() for path in cut.iterdir()}


def test_other_data_under_the_same_name_is_refused(tsmtl_train, tmp_path, vectors):
    import numpy as np

    settings = ["data=npz", f"data.path={vectors}", "model=fc", "device=cpu", "num_epochs=2", "hydra.run.dir=a"]
    assert tsmtl_train(*settings).code == 0
    (tmp_path / "a/summary.json").unlink()
    with np.load(vectors) as arrays:
        np.savez(vectors, **{**arrays, "X": arrays["X"] + 1})
    answer = tsmtl_train(*settings, "resume=true")
    assert answer.code == 2
    assert answer.lines == [f"tsmtl-train: data.path: the data is not what the run in {tmp_path / 'a'} began with"]


def test_an_unfinished_run_is_not_overwritten_by_mistake(tsmtl_train, cut):
    answer = tsmtl_train(*CNN, "num_epochs=4", "hydra.run.dir=cut")
    assert answer.code == 2
    said = f"tsmtl-train: hydra.run.dir: {cut} holds an unfinished run; resume=true goes on with it, or remove the "
    assert answer.lines == [said + "folder to start anew"]


def test_resume_starts_anew_where_there_is_nothing_and_rests_where_all_is_done(tsmtl_train, tmp_path):
    settings = [*CNN, "hydra.run.dir=a", "resume=true"]
    assert tsmtl_train(*settings).code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.name != "train.log"}
    again = tsmtl_train(*settings)
    assert again.code == 0
    assert "finished before; nothing is left to do" in again.err
    assert "cls (fault)" in again.out
    assert before == {path: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.name != "train.log"}


def test_a_frozen_backbone_stays_bit_equal_after_resuming(tsmtl_train, stopped_at, tmp_path):
    assert tsmtl_train("model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL, "task=reg", "hydra.run.dir=first").code == 0
    tune = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL, "stage=finetune", "pretrained_path=first/best_model.pt"]
    tune += ["freeze=true", "num_epochs=20", "batch_size=16", "trainer.weight_decay=0.1", "hydra.run.dir=cut"]
    stopped_at(15)
    assert tsmtl_train(*tune).code == 143
    assert 3 < len(read_last(tmp_path / "cut/last.pt")["fit"]["history"]) < 15
    assert tsmtl_train(*tune, "resume=true").code == 0
    first = read_checkpoint(tmp_path / "first/best_model.pt")["state"]
    last = read_last(tmp_path / "cut/last.pt")
    assert len(last["fit"]["history"]) == 20
    for state in (read_checkpoint(tmp_path / "cut/best_model.pt")["state"], last["model"]):
        compared = [key for key in first if key.startswith("backbone.")]
        assert any("running_mean" in key for key in compared)
        assert all(torch.equal(state[key], first[key]) for key in compared)


def test_a_run_is_the_same_wherever_its_files_are_called_from(tsmtl_train, tmp_path, vectors):
    first = ["data=npz", f"data.path={vectors}", "model=fc", "device=cpu", "num_epochs=1", "task=reg"]
    assert tsmtl_train(*first, "hydra.run.dir=first").code == 0
    tune = ["data=npz", "model=fc", "num_epochs=2", "stage=finetune", "hydra.run.dir=a"]
    known = [f"data.path={vectors}", "pretrained_path=first/best_model.pt", "device=cpu"]
    assert tsmtl_train(*tune, *known).code == 0
    (tmp_path / "a/summary.json").unlink()
    moved = [f"data.path={vectors.name}", "pretrained_path=./first/best_model.pt"]
    answer = tsmtl_train(*tune, *moved, "resume=true")
    assert answer.code == 0, answer.err
    assert "resume: going on in" in answer.err


def test_a_finished_fine_tuning_needs_its_checkpoint_no_more(tsmtl_train, tmp_path):
    assert tsmtl_train(*CNN, "task=reg", "hydra.run.dir=first").code == 0
    tune = [*CNN, "stage=finetune", "pretrained_path=first/best_model.pt", "hydra.run.dir=a"]
    assert tsmtl_train(*tune).code == 0
    assert tsmtl_train(*CNN, "task=reg", "seed=1", "hydra.run.dir=other").code == 0
    other = [a.replace("first", "other") for a in tune]
    answer = tsmtl_train(*other, "resume=true")
    assert answer.code == 2
    said = f"pretrained_path: the checkpoint is not what the run in {tmp_path / 'a'} began with"
    assert answer.lines == [f"tsmtl-train: {said}"]
    (tmp_path / "first/best_model.pt").unlink()
    answer = tsmtl_train(*tune, "resume=true")
    assert answer.code == 0, answer.err
    assert "nothing is left to do" in answer.err


def test_a_finished_run_says_where_its_model_is_not_its_own(tsmtl_train, tmp_path):
    settings = [*CNN, "hydra.run.dir=a", "best_model_path=m.pt", "resume=true"]
    assert tsmtl_train(*settings).code == 0
    assert tsmtl_train(*CNN, "task=reg", "hydra.run.dir=b").code == 0
    (tmp_path / "b/best_model.pt").replace(tmp_path / "m.pt")
    answer = tsmtl_train(*settings)
    assert answer.code == 0
    assert "warning: best_model_path: m.pt is gone, or not what the run ended with" in answer.lines
    assert "cls (fault)" in answer.out


def test_a_run_folder_may_be_moved(tsmtl_train, tmp_path):
    assert tsmtl_train(*CNN, "hydra.run.dir=a").code == 0
    (tmp_path / "a").rename(tmp_path / "b")
    answer = tsmtl_train(*CNN, "hydra.run.dir=b", "resume=true")
    assert answer.code == 0
    assert str(tmp_path / "b/best_model.pt") in answer.out
    assert "warning" not in answer.err


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda run: (run / "last.pt").write_bytes(b"PK"), "take another copy, or remove it to start the run anew"),
        (lambda run: (run / "summary.json").write_text("{"), "remove it, and resume=true tests and reports again"),
        (lambda run: (run / "last.pt").unlink(), "which tells its settings; without resume=true it is replaced"),
    ],
)
def test_damaged_files_of_a_run_say_how_to_go_on(tsmtl_train, tmp_path, damage, said):
    assert tsmtl_train(*CNN, "hydra.run.dir=a").code == 0
    damage(tmp_path / "a")
    answer = tsmtl_train(*CNN, "hydra.run.dir=a", "resume=true")
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert answer.lines[0].endswith(said)


def test_a_second_process_is_kept_out_of_a_run_folder(tsmtl_train, tmp_path):
    settings = [*CNN, "num_epochs=100000", "hydra.run.dir=run"]
    process = start(tmp_path, *settings)
    try:
        wait_for(process, tmp_path / "run/metrics.csv", rows=2)
        answer = tsmtl_train(*settings, "resume=true")
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        process.kill()
    assert answer.code == 2
    said = f"tsmtl-train: hydra.run.dir: another process is training in {tmp_path / 'run'}; name another folder"
    assert answer.lines == [said]
    assert process.returncode == 143
    assert not (tmp_path / "run/run.lock").exists()


def test_resume_without_a_folder_is_refused(tsmtl_train, tmp_path):
    for flags, place in (([], "hydra.run.dir"), (["-m"], "hydra.sweep.dir")):
        answer = tsmtl_train(*flags, *CNN, "resume=true")
        said = f"tsmtl-train: resume: true goes on with the run of a folder; name it with {place}=FOLDER"
        assert (answer.code, answer.lines) == (2, [said])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("signum", "code", "word", "n_jobs"),
    [(signal.SIGTERM, 143, "terminated", 1), (signal.SIGINT, 130, "interrupted", 2)],
)
def test_an_interrupted_sweep_says_how_it_goes_on(tmp_path, signum, code, word, n_jobs):
    settings = [*CNN, "num_epochs=100000", "alpha=0.2,0.8", "hydra.sweep.dir=sweep", f"hydra.launcher.n_jobs={n_jobs}"]
    process = start(tmp_path, "-m", *settings)
    try:
        wait_for(process, tmp_path, rows=2, pattern="sweep/alpha=0.2-*/metrics.csv")
        process.send_signal(signum)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    said = f"{word} after 0 jobs; to go on, give the same command hydra.sweep.dir={tmp_path / 'sweep'}"
    assert err.splitlines()[-1] == f"tsmtl-train: {said}"
    assert {json.loads(p.read_text())["status"] for p in tmp_path.glob("sweep/*/job.json")} == {"cut"}
    assert len(list(tmp_path.glob("sweep/*/last.pt"))) >= 1


def test_a_checkpoint_is_written_while_another_process_asks_for_its_place(compose, tmp_path):
    from tsmtl.destination import best_model_path

    settings = compose(f"best_model_path={tmp_path / 'm.pt'}")
    (tmp_path / "m.pt.tmp").write_text("another process is writing here")
    best_model_path(settings, tmp_path, None)
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt.tmp"]
