"""A sweep that is killed again and again ends as one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from tsmtl.checkpoint.file import read_checkpoint

WAIT = 120  # seconds, for what takes a few

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")


class Sweep:
    """The command, started in a folder as often as is wanted."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.folder, self.arguments = folder, arguments
        self.epochs = folder / "epochs"

    def start(self, into: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tsmtl.train", "-m", *self.arguments, f"hydra.sweep.dir={into}"]
        environment = {**os.environ, "STATES": "all", "EPOCHS": str(self.epochs), "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=environment, start_new_session=True, **pipes)

    def begun(self) -> list[list[str]]:
        return [line.split() for line in self.epochs.read_text().splitlines()] if self.epochs.exists() else []


def workers_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true: Any, process: "subprocess.Popen[str] | None" = None) -> None:
    end = time.monotonic() + WAIT
    while not true() and (process is None or process.poll() is None):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.002)


def kill(sweep: Sweep, process: "subprocess.Popen[str]", draw: random.Random, workers_first: bool, most: int) -> None:
    """Kill the launcher and its workers, in an order and at moments drawn, within as many epochs at most."""
    already = len(sweep.begun())
    epochs = draw.randint(1, most)
    wait_until(lambda: len(sweep.begun()) >= already + epochs, process)
    workers = workers_of(process.pid)
    victims = draw.sample(workers, len(workers)) if workers_first else draw.sample(workers, draw.randint(0, 1))
    victims.insert(len(victims) if workers_first else draw.randint(0, len(victims)), process.pid)
    for victim in victims:
        time.sleep(draw.uniform(0, 0.03))
        if is_alive(victim):
            os.kill(victim, signal.SIGKILL)
    process.communicate(timeout=WAIT)
    wait_until(lambda: not any(map(is_alive, workers)))


def jobs_of(folder: Path) -> dict[str, tuple[Any, dict[str, torch.Tensor]]]:
    """Metrics and best weights by the job's settings; each is there once."""
    found = {}
    for path in folder.glob("*/summary.json"):
        summary = json.loads(path.read_text())
        record = json.loads(path.with_name("job.json").read_text())
        summary["val"].pop("seconds")
        metrics = {key: summary[key] for key in ("test", "val", "best", "epochs")}
        key = json.dumps(record["settings"], sort_keys=True)
        assert key not in found
        found[key] = metrics, read_checkpoint(path.with_name("best_model.pt"))["state"]
    return found


def check_epochs(lines: list[list[str]], num_epochs: int) -> int:
    """Check that every job began its epochs in order, again only the one that a process died in; count these."""
    by_job, again = defaultdict(list), 0
    for folder, epoch, pid in lines:
        by_job[folder].append((int(epoch), pid))
    for begun in by_job.values():
        assert [epoch for epoch, _ in begun][:1] == [1]
        for (epoch, pid), (following, other) in pairwise(begun):
            assert following == epoch + 1 or (following == epoch and other != pid)
            again += following == epoch
        assert begun[-1][0] == num_epochs
    return again


def test_what_the_jobs_of_a_killed_sweep_share_goes_with_its_processes(own_model, tmp_path):
    sweep = Sweep(tmp_path, [*own_model, "seed=0,1,2", "num_epochs=100000", "hydra.launcher.n_jobs=2"])
    process = sweep.start("killed")
    wait_until(lambda: len({folder for folder, _, _ in sweep.begun()}) == 2, process)
    workers = workers_of(process.pid)
    (shared,) = (tmp_path / "killed").glob(".shared-*")
    assert list(shared.rglob("*.arrays"))
    process.kill()
    process.communicate(timeout=WAIT)
    wait_until(lambda: not any(map(is_alive, workers)))
    assert not shared.exists()


@pytest.mark.parametrize(
    ("grid", "jobs", "kills"),
    [
        (["lr=1e-2,1e-3", "width=2,3,4"], 6, 2),
        pytest.param(["lr=1e-2,3e-3,1e-3", "width=2,3,4,5", "alpha=0.3,0.7"], 24, 5, marks=pytest.mark.slow),
    ],
    ids=["6 jobs, 2 kills", "24 jobs, 5 kills"],
)
def test_a_sweep_that_is_killed_ends_as_an_undisturbed_one(own_model, tsmtl_train, tmp_path, grid, jobs, kills):
    sweep = Sweep(tmp_path, [*own_model, *grid, "num_epochs=6", "hydra.launcher.n_jobs=2"])
    answer = tsmtl_train("-m", *sweep.arguments[:-1], "hydra.launcher.n_jobs=1", "hydra.sweep.dir=whole")
    assert answer.code == 0, answer.err
    assert (len(sweep.begun()), check_epochs(sweep.begun(), 6)) == (jobs * 6, 0)
    sweep.epochs.unlink()

    draw, ends = random.Random(7), []
    for life in range(kills):
        process = sweep.start("killed")
        kill(sweep, process, draw, workers_first=life % 2 == 0, most=jobs)
        ends.append(process.returncode)
    answer = tsmtl_train("-m", *sweep.arguments[:-1], "hydra.launcher.n_jobs=1", "hydra.sweep.dir=killed")
    assert answer.code == 0, answer.err
    assert ends == [-signal.SIGKILL] * kills, "the kills came while it ran"
    again = check_epochs(sweep.begun(), 6)
    assert len(sweep.begun()) == jobs * 6 + again
    assert again <= 2 * kills, "one a process at most"

    whole, killed = jobs_of(tmp_path / "whole"), jobs_of(tmp_path / "killed")
    assert len(whole) == jobs
    assert killed.keys() == whole.keys()
    assert len(list((tmp_path / "killed").glob("*/"))) == jobs
    for key, (metrics, state) in whole.items():
        assert killed[key][0] == metrics
        assert all(torch.equal(tensor, killed[key][1][name]) for name, tensor in state.items())
    assert not list((tmp_path / "killed").rglob("*.tmp"))
    assert {json.loads(path.read_text())["status"] for path in tmp_path.glob("killed/*/job.json")} == {"done"}
