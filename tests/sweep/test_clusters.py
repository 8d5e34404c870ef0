"""Sweeps on clusters: what the launcher of one machine does, they do too."""

import csv
import re
import socket
import sys
from pathlib import Path

import pytest
from ray.exceptions import OutOfMemoryError, TaskCancelledError, WorkerCrashedError

from tests.test_readme import README
from tests.test_train import SMALL, summary_of
from tsmtl.sweep.job import Outcome
from tsmtl.sweep.on_node import ProgressReader
from tsmtl.sweep.ray_cluster import RaySubmission

LAUNCHERS = {
    "slurm": ["hydra/launcher=tsmtl_slurm", "hydra.launcher.cluster=local", "hydra.launcher.n_jobs=2"],
    "ray": ["hydra/launcher=tsmtl_ray", "hydra.launcher.n_jobs=2"],
}
SWEEP = ["--config-dir", ".", "-m", "model=moody", *SMALL]


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return {row["mood"]: row for row in csv.DictReader(file)}


@pytest.mark.usefixtures("moody")
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_sweep_on_a_cluster_is_as_on_one_machine(tsmtl_train, tmp_path, monkeypatch, launcher):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    sweep = [*SWEEP, *LAUNCHERS[launcher], "hydra.sweep.dir=sweep"]
    answer = tsmtl_train(*sweep, "mood=fine,undefined,deadly")
    assert answer.code == 1
    assert "2 of 3 jobs failed" in answer.lines[-1]
    rows = rows_of(tmp_path / "sweep")
    assert {mood: row["status"] for mood, row in rows.items()} == {
        "fine": "done",
        "undefined": "failed",
        "deadly": "killed",
    }
    assert rows["undefined"]["reason"].startswith("NotFiniteError: the loss is nan at epoch 1")
    assert rows["deadly"]["reason"] == "killed by SIGKILL, as the kernel does when memory runs out"
    assert all(row["reason"] in answer.err for row in rows.values())

    # To the last bit what a run by itself gives with as many threads.
    assert tsmtl_train(*SWEEP[:2], *SWEEP[3:], "hydra.run.dir=alone").code == 0
    (done,) = (tmp_path / "sweep").glob("mood=fine*")
    assert summary_of(done)["test"] == summary_of(tmp_path / "alone")["test"]
    assert not list((tmp_path / "sweep").rglob("progress.jsonl"))
    assert not (tmp_path / "home/.ray").exists()
    assert "warning" not in answer.err

    # Nothing is left of these two: no cluster is asked.
    before = (done / "summary.json").stat().st_mtime_ns
    again = tsmtl_train(*sweep, "mood=fine,undefined")
    assert again.code == 1
    assert "holds 1 done, 1 failed of 2 jobs; 0 to run" in again.err
    assert (done / "summary.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(("launcher", "package"), [("slurm", "submitit"), ("ray", "ray")])
def test_without_the_extra_nothing_is_written(tsmtl_train, tmp_path, monkeypatch, launcher, package):
    for module in ("tsmtl.sweep.slurm", "tsmtl.sweep.ray_cluster"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    answer = tsmtl_train("-m", *LAUNCHERS[launcher], "lr=1e-3,1e-4")
    assert answer.code == 2
    assert answer.lines == [f"tsmtl-train: {package} is missing: pip install 'tsmtl[{launcher}]' brings it"]
    assert not list(tmp_path.iterdir())


def test_settings_of_launchers_are_checked(tsmtl_train, tmp_path):
    answer = tsmtl_train("-m", *LAUNCHERS["slurm"], "hydra.launcher.time=0", "hydra.launcher.setup=module", "seed=0,1")
    assert answer.code == 2
    assert answer.lines == [
        "tsmtl-train: hydra.launcher.time: must be a whole number, at least 1 (got 0)",
        "tsmtl-train: hydra.launcher.setup: must be a list, each text (got 'module')",
    ]
    answer = tsmtl_train("-m", "hydra.launcher.partition=gpu", "seed=0,1")
    assert answer.lines == ["tsmtl-train: hydra.launcher.partition: a setting of hydra/launcher=tsmtl_slurm"]
    answer = tsmtl_train("-m", *LAUNCHERS["ray"], "hydra.launcher.adress=auto", "seed=0,1")
    assert answer.lines == [
        "tsmtl-train: hydra.launcher.adress: unknown setting; did you mean 'hydra.launcher.address'?"
    ]
    assert not list(tmp_path.iterdir())


def test_an_address_at_which_nobody_answers_is_refused(tsmtl_train, tmp_path):
    with socket.socket() as taken:  # a port that nobody listens at
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = tsmtl_train("-m", "hydra/launcher=tsmtl_ray", f"hydra.launcher.address='{address}'", "seed=0,1")
    assert answer.code == 2
    assert answer.lines[0].startswith(f"tsmtl-train: hydra.launcher.address: nobody answers at {address}")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("slurm")
def test_the_readmes_commands_are_understood(tsmtl_train):
    commands = re.findall(r"^tsmtl-train (-m hydra/launcher=tsmtl_\w+ .*)$", README, flags=re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        arguments = [word for word in command.split() if not word.startswith("hydra.launcher.address=")]
        answer = tsmtl_train(*arguments, "hydra.launcher.dry_run=true")
        assert answer.code == 0, answer.err
        assert answer.out.count("to run") == 6


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TaskCancelledError(), Outcome("cut", "cancelled")),
        (OutOfMemoryError("the machine's memory is used up"), Outcome("killed", "OutOfMemoryError: the machine")),
        (WorkerCrashedError(), Outcome("killed", "WorkerCrashedError: The worker died")),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_task_that_ray_loses_is_named(monkeypatch, error, outcome):
    def lost(task: object) -> None:
        raise error

    monkeypatch.setattr("ray.wait", lambda tasks, timeout: (tasks, []))
    monkeypatch.setattr("ray.get", lost)
    found = RaySubmission(object()).outcome()
    assert found is not None
    assert found.status == outcome.status
    assert outcome.reason in found.reason


def test_progress_is_read_once_in_whole_lines_and_without_what_is_no_message(tmp_path):
    reader = ProgressReader(tmp_path)
    assert list(reader.new()) == []
    path = tmp_path / "progress.jsonl"
    path.write_text('{"event": "starts"}\n{"event": "ep')
    assert list(reader.new()) == [{"event": "starts"}]
    path.write_text(path.read_text() + 'och"}\noch", "epoch": 2}\n3\n{"event": "ended"}\n')
    assert list(reader.new()) == [{"event": "epoch"}, {"event": "ended"}]
    assert list(reader.new()) == []
