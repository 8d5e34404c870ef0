"""Sweeps on SLURM; on this machine other programs stand in for its commands."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import submitit

from tests.test_resume import start
from tests.test_train import SMALL, summary_of
from tsmtl.sweep.slurm import SlurmSubmission

SWEEP = ["--config-dir", ".", "-m", "model=moody", *SMALL, "hydra/launcher=tsmtl_slurm", "hydra.sweep.dir=sweep"]


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def epochs(folder: Path) -> int:
    """Epochs that the one job has told of."""
    return sum(path.read_text().count('"epoch"') // 2 for path in folder.glob("sweep/*/progress.jsonl"))


def epochs_before_the_last_start(job: Path) -> int:
    return int(re.findall(r"going on in .* after (\d+) of", (job / "train.log").read_text())[-1])


@pytest.mark.usefixtures("moody")
def test_a_job_whose_time_is_up_is_queued_again_and_goes_on(tsmtl_train, tmp_path, slurm):
    (tmp_path / "slow").touch()

    def time_is_up() -> None:
        until(lambda: epochs(tmp_path) >= 2)
        (tmp_path / "slow").unlink()
        os.kill(int((slurm / "100.pid").read_text()), signal.SIGUSR2)

    clock = threading.Thread(target=time_is_up)
    asked = ["partition=long", "account=me", "time=30", "cpus=1", "gpus=2", "mem=1.5", "sbatch.constraint=a100"]
    setup = "hydra.launcher.setup=['export LOADED=yes']"
    clock.start()
    answer = tsmtl_train(*SWEEP, "mood=slow", "num_epochs=60", *[f"hydra.launcher.{word}" for word in asked], setup)
    clock.join()
    assert answer.code == 0, answer.err
    script = (slurm / "100.sh").read_text()
    flags = ["partition=long", "account=me", "time=30", "cpus-per-task=1", "gpus-per-node=2", "mem=1536M"]
    for flag in [*flags, "constraint=a100", "signal=USR2@90"]:
        assert f"\n#SBATCH --{flag}\n" in script
    assert "\nexport LOADED=yes\n" in script
    assert "--cpus-per-task=1" in next(line for line in script.splitlines() if line.startswith("srun"))
    assert [path.name for path in slurm.glob("*.sh")] == ["100.sh"]
    (job,) = (tmp_path / "sweep").glob("job-*")
    assert "Requeued job 100" in (tmp_path / "sweep/slurm/100_0_log.out").read_text()
    assert epochs_before_the_last_start(job) >= 1
    assert not (job / "slurm_job").exists()
    assert tsmtl_train(*SWEEP[:2], "model=moody", *SMALL, "mood=slow", "num_epochs=60", "hydra.run.dir=alone").code == 0
    assert summary_of(job)["test"] == summary_of(tmp_path / "alone")["test"]


@pytest.mark.usefixtures("moody")
def test_jobs_outlive_a_launcher_that_is_killed_and_end_with_one_that_is_interrupted(tsmtl_train, tmp_path, slurm):
    (tmp_path / "slow").touch()
    command = [*SWEEP, "mood=slow", "num_epochs=60"]

    first = start(tmp_path, *command)
    until(lambda: epochs(tmp_path) >= 1)
    first.kill()
    first.communicate()
    second = start(tmp_path, *command)
    until(lambda: "SLURM has it already, as job 100" in (tmp_path / "sweep/train.log").read_text())
    second.send_signal(signal.SIGINT)
    _, said = second.communicate()
    assert second.returncode == 130, said
    assert "SLURM job 100 is cancelled" in said
    assert f"to go on, give the same command hydra.sweep.dir={tmp_path}/sweep" in said
    assert (slurm / "100.state").read_text().startswith("CANCELLED")
    (tmp_path / "slow").unlink()
    answer = tsmtl_train(*command)
    assert answer.code == 0, answer.err
    assert {path.name for path in slurm.glob("*.sh")} == {"100.sh", "101.sh"}
    (job,) = (tmp_path / "sweep").glob("job-*")
    assert epochs_before_the_last_start(job) >= 1


@pytest.mark.usefixtures("slurm")
def test_what_sbatch_refuses_is_said(tsmtl_train):
    answer = tsmtl_train("-m", "hydra/launcher=tsmtl_slurm", "hydra.launcher.partition=nowhere", *SMALL, "seed=0,1")
    assert answer.code == 1
    said = "SLURM does not take seed=0: sbatch: error: invalid partition specified: nowhere"
    assert answer.lines[-1] == f"tsmtl-train: {said}"


def test_without_slurm_nothing_is_written(tsmtl_train, tmp_path):
    answer = tsmtl_train("-m", "hydra/launcher=tsmtl_slurm", "seed=0,1")
    assert answer.code == 2
    assert answer.lines[0].startswith("tsmtl-train: hydra.launcher.cluster: slurm needs a machine of the cluster")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("TIMEOUT", "cut"),
        ("CANCELLED by 1000", "cut"),
        ("PREEMPTED", "cut"),
        ("OUT_OF_MEMORY", "killed"),
        ("NODE_FAIL", "killed"),
        ("PENDING", None),
        ("REQUEUED", None),
    ],
)
def test_a_job_without_a_result_ended_as_slurm_says(slurm, tmp_path, monkeypatch, state, status):
    monkeypatch.setattr("tsmtl.sweep.slurm.LATE", 0.0)
    monkeypatch.setattr("tsmtl.sweep.slurm.SETTLED", 0.0)
    (slurm / "100.state").write_text(state)
    outcome = SlurmSubmission(submitit.SlurmJob(tmp_path, "100"), tmp_path / "slurm_job").outcome()
    assert (None if outcome is None else outcome.status) == status
    if outcome is not None:
        assert outcome.reason == f"SLURM job 100: {state.upper()}; see {tmp_path / '100_0_log.err'}"
