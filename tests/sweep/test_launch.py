"""Sweeps with real processes: jobs that fail, die and come again."""

import csv
import json
from pathlib import Path

import pytest
from filelock import FileLock

from tests.sweep.conftest import write_series
from tests.sweep.records import write_job
from tsmtl.config.launcher_settings import LauncherSettings
from tsmtl.config.logs import close_logs
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.launch import launch

TROUBLES = {
    "loss": ("failed", "NotFiniteError: the loss is nan at epoch 1"),
    "size": ("failed", "width: fits no input of this kind"),
    "kill": ("killed", "killed by SIGKILL, as the kernel does when memory runs out"),
    "crash": ("killed", "killed by SIGSEGV (Fatal Python error: Segmentation fault)"),
    "raise": ("failed", "LookupError: no such thing"),
    "exit": ("failed", "SystemExit: enough"),
    "leave": ("killed", "its process ended with exit code 3 (a last word)"),
    "print": ("done", ""),
    "no": ("done", ""),
}


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of ``results.csv`` by the swept ``trouble``."""
    with (folder / "results.csv").open(newline="") as file:
        return {row["trouble"]: row for row in csv.DictReader(file)}


def files_of(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_jobs_that_fail_or_die_stop_no_other_and_are_named_with_their_reasons(sweep, tmp_path):
    grid = "trouble=" + ",".join(TROUBLES)
    first = sweep(grid, "hydra.launcher.n_jobs=2")
    rows = rows_of(tmp_path / "s")
    assert {name: row["status"] for name, row in rows.items()} == {name: s for name, (s, _) in TROUBLES.items()}
    for name, (status, reason) in TROUBLES.items():
        assert reason in rows[name]["reason"]
        assert (rows[name]["score"] != "") == (status == "done")
        assert reason in first.out
    assert first.code == 1
    assert first.lines[-1].startswith("tsmtl-train: 7 of 9 jobs failed: job (trouble=loss): NotFiniteError: the loss")
    assert "Traceback" not in first.err + first.out
    printed = next((tmp_path / "s").glob("trouble=print-*/output.log"))
    assert printed.read_text().splitlines()[0] == '{"event": "ended"}', "a plugin's words are not the worker's"
    assert not list((tmp_path / "s").glob("trouble=no-*/output.log"))

    (tmp_path / "healed").touch()
    second = sweep(grid, "hydra.launcher.n_jobs=1")
    failed = {name for name, (status, _) in TROUBLES.items() if status == "failed"}
    assert {name for name, row in rows_of(tmp_path / "s").items() if row["status"] != "done"} == failed
    assert second.code == 1
    assert "s holds 2 done, 3 cut, 4 failed of 9 jobs; 3 to run; hydra.launcher.retry_failed=true" in second.err
    third = sweep(grid, "hydra.launcher.n_jobs=1", "hydra.launcher.retry_failed=true")
    assert third.code == 0, third.err
    assert not list((tmp_path / "s").rglob("*.lock"))
    begun = (tmp_path / "epochs").read_text().split()[::3]
    assert begun.count(next(folder for folder in begun if folder.startswith("trouble=no-"))) == 2, "done but once"


def test_a_sweep_finds_its_jobs_again_by_settings_and_data(sweep_here, tmp_path):
    def trained(*arguments: str) -> list[str]:
        stamps = files_of(tmp_path / "s") if (tmp_path / "s").exists() else {}
        answer = sweep_here(*arguments)
        assert answer.code == 0, answer.err
        now = files_of(tmp_path / "s")
        assert all(now[name] == stamp for name, stamp in stamps.items() if "/" in name), "nothing is overwritten"
        new = {name.partition("/")[0] for name in now.keys() - stamps.keys() if "/" in name}
        return sorted(name.rpartition("-")[0] for name in new)

    assert trained("alpha=1,1.0", "lr=0.001", "hidden_size=4") == ["job"], "once, however it is written"
    assert trained("lr=1e-2,1e-3", "hidden_size=4,8", "alpha=1.0") == [
        "lr=0.001_hidden_size=8",
        "lr=0.01_hidden_size=4",
        "lr=0.01_hidden_size=8",
    ]
    first = (tmp_path / "data.npz").read_bytes()
    write_series(tmp_path / "data.npz", seed=1)
    assert trained("alpha=1", "lr=0.001", "hidden_size=4") == ["job"], "other data is another job"
    with (tmp_path / "s" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row for row in rows[0] if row in ("lr", "hidden_size", "alpha", "data sha256")] == [
        "lr",
        "hidden_size",
        "data sha256",
    ]
    assert len({(row["lr"], row["hidden_size"], row["data sha256"]) for row in rows}) == len(rows) == 5
    (tmp_path / "data.npz").write_bytes(first)
    shown = sweep_here("lr=1e-3,1e-2", "hidden_size=8,4,6", "alpha=1", "hydra.launcher.dry_run=true")
    states = [line.split()[-1] for line in shown.out.splitlines()[1:]]
    assert states == ["done", "done", "run", "done", "done", "run"]


@pytest.mark.parametrize("alpha", [0.1, 0.9])
def test_jobs_of_an_earlier_sweep_are_ranked_with_these_and_warned_of_alike(tmp_path, compose, capsys, alpha):
    class Runner:
        def run(self, jobs, follower):
            for job in jobs:
                follower.ended(job, 0, Outcome("done"))

    write_job(tmp_path / "s", "before", compose("model=fc", f"alpha={alpha}").flat, 0.5, typed=["alpha"])
    job = Job({}, compose("model=fc", "alpha=0.1").flat, frozenset({"alpha"}), {})
    settings = LauncherSettings(n_jobs=1, retry_failed=False, dry_run=False)
    try:
        launch([job], settings, tmp_path / "s", lambda most, left, needs: Runner())
    finally:
        close_logs()
    said = "warning: val/loss does not compare the jobs: alpha changes the loss itself; trainer.monitor=joint does"
    assert (said in capsys.readouterr().err) == (alpha == 0.9)


def test_a_second_sweep_in_the_same_folder_is_refused(sweep, tmp_path):
    (tmp_path / "s").mkdir()
    with FileLock(tmp_path / "s" / "sweep.lock"):
        before = files_of(tmp_path / "s")
        answer = sweep("lr=1e-3,1e-4")
        assert files_of(tmp_path / "s") == before
    assert (answer.code, len(answer.lines)) == (2, 1)
    assert "hydra.sweep.dir: another process is at the sweep in s; name another folder" in answer.err


def test_a_dry_run_and_a_refusal_write_nothing(sweep, tmp_path):
    before = files_of(tmp_path)
    shown = sweep("lr=1e-3,1e-4", "hydra.launcher.dry_run=true")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.splitlines() == ["job        state", "lr=0.001   to run", "lr=0.0001  to run"]
    refused = sweep("lr=1e-3,-1")
    assert (refused.code, refused.lines) == (
        2,
        ["tsmtl-train: job 1 (lr=-1): lr: must be a number in (0, 0.1] (got -1)"],
    )
    assert files_of(tmp_path) == before
    job = tmp_path / "s" / "mine"
    job.mkdir(parents=True)
    (job / "job.json").write_text("{}")
    before = files_of(tmp_path)
    assert sweep("lr=1e-3,1e-4", "hydra.launcher.dry_run=true").code == 0
    assert sweep("lr=1e-3,-1").code == 2
    assert files_of(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs: must be a whole number, at least 1 or null (got 0)"),
        (["hydra.launcher.njobs=2"], "hydra.launcher.njobs: unknown setting; did you mean 'hydra.launcher.n_jobs'?"),
        (["best_model_path=m.pt"], "best_model_path: 2 jobs would overwrite each other's m.pt; {job} in it stands for"),
    ],
)
def test_a_launcher_setting_that_cannot_be_is_refused(sweep, tmp_path, arguments, said):
    answer = sweep("lr=1e-3,1e-4", *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert not (tmp_path / "s").exists()


def test_each_job_may_have_its_model_elsewhere_and_the_best_is_linked(sweep_here, tmp_path):
    answer = sweep_here("hidden_size=4", "lr=1e-2,1e-5", "best_model_path=models/{job}.pt")
    assert answer.code == 0, answer.err
    folders = {path.parent.name for path in (tmp_path / "s").glob("*/summary.json")}
    assert {path.stem for path in (tmp_path / "models").iterdir()} == folders
    with (tmp_path / "s" / "results.csv").open(newline="") as file:
        best = next(csv.DictReader(file))
    assert (tmp_path / "s" / "best_model.pt").resolve() == tmp_path / "models" / f"{best['job']}.pt"
    scores = [json.loads(p.read_text())["best"]["score"] for p in (tmp_path / "s").glob("*/summary.json")]
    assert float(best["score"]) == pytest.approx(min(scores), rel=1e-5)


def test_jobs_may_have_the_folders_that_hydra_gives_them(sweep_here, tmp_path):
    for lr in ("lr=1e-3,1e-4", "lr=1e-4,1e-3"):
        assert sweep_here(lr, "hydra.sweep.subdir=${hydra.job.num}").code == 0
    settings = [json.loads((tmp_path / "s" / name / "job.json").read_text())["settings"] for name in ("0", "1")]
    assert [one["lr"] for one in settings] == [1e-3, 1e-4]
    assert len(list(tmp_path.glob("s/*/summary.json"))) == 2


def test_hydras_own_launcher_gives_each_job_a_folder(tsmtl_train, tmp_path):
    settings = ["model=cnn1d", "output_channels=4", "data.n_instances=60", "num_epochs=1", "device=cpu"]
    answer = tsmtl_train("-m", "hydra/launcher=basic", "hydra.sweep.dir=s", *settings, "lr=1e-3,1e-4")
    assert answer.code == 0, answer.err
    assert sorted(path.parent.name for path in (tmp_path / "s").glob("*/summary.json")) == ["0", "1"]
