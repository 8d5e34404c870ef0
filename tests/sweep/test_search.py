"""Searches: how many trials there are in the end, and what is chosen among, also where processes are killed."""

import csv
import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

from tests.conftest import ROOT
from tests.test_resume import start
from tests.test_train import SMALL, TINY_MODEL
from tsmtl.config.errors import UserError
from tsmtl.config.search_settings import SearchSettings
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.plan import Plan
from tsmtl.sweep.search import Search
from tsmtl.sweep.search_launch import checked
from tsmtl.sweep.search_space import search_space
from tsmtl.sweep.study import open_study

SEARCH = ["-m", "hydra/sweeper=tsmtl_optuna", "hydra.sweep.dir=sweep", "model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL]
SEARCH += ["num_epochs=2"]
REFUSED = list(SEARCH)
SEARCH += ["hydra.launcher.n_jobs=1"]  # a process takes longer to start than such a trial
DEFAULTS = yaml.safe_load((ROOT / "configs/hydra/sweeper/tsmtl_optuna.yaml").read_text())
DEFAULTS.pop("_target_")


def study_of(tmp_path: Path) -> optuna.Study:
    return open_study("journal", tmp_path / "sweep", ["minimize"])


def rows_of(tmp_path: Path, name: str = "results.csv") -> list[dict[str, str]]:
    with (tmp_path / "sweep" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_search_killed_goes_on_to_exactly_its_trials_and_two_processes_share_one(tsmtl_train, tmp_path):
    space = ["lr=tag(log,interval(1e-4,1e-1))", "output_channels=range(2,9,2)", "hydra.sweeper.n_trials=5"]
    process = start(tmp_path, *SEARCH, *space)
    until = time.monotonic() + 60
    while time.monotonic() < until and len(list(tmp_path.glob("sweep/*/job.json"))) < 2:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert [trial.state for trial in study_of(tmp_path).trials] == [TrialState.COMPLETE, TrialState.RUNNING]

    other = start(tmp_path, *SEARCH, *space)
    answer = tsmtl_train(*SEARCH, *space)
    said = other.communicate(timeout=120)[1]
    assert (answer.code, other.returncode) == (0, 0), (answer.err, said)
    assert "Traceback" not in answer.err + said
    trials = study_of(tmp_path).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 5
    assert {trial.params["output_channels"] for trial in trials} <= {2.0, 4.0, 6.0, 8.0}
    summaries = [json.loads(p.read_text()) for p in tmp_path.glob("sweep/*/summary.json")]
    assert len(summaries) == 5
    assert sorted(s["best"]["score"] for s in summaries) == pytest.approx(sorted(t.value for t in trials))
    assert len(rows_of(tmp_path)) == 5
    dry = tsmtl_train(*SEARCH, *space, "hydra.launcher.dry_run=true")
    assert (dry.code, dry.out) == (0, "0 of 5 trials are left\n")


@pytest.mark.usefixtures("jobs_here")
def test_a_hopeless_trial_is_pruned_before_its_end(tsmtl_train, tmp_path):
    # The learning rate is all that differs: what does not move cannot come near to what does.
    settings = ["lr=choice(3e-2,2e-2,1e-2,1e-9,2e-9)", "hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=8"]
    pruning = ["hydra.sweeper.pruner=median", "hydra.sweeper.pruner_warmup=2", "num_epochs=12", "hydra.sweeper.seed=3"]
    answer = tsmtl_train(*SEARCH, *settings, *pruning)
    assert answer.code == 0, answer.err
    trials = study_of(tmp_path).trials
    assert len(trials) == 8
    pruned = [trial for trial in trials if trial.state is TrialState.PRUNED]
    assert pruned
    assert all(float(trial.params["lr"]) < 1e-3 for trial in pruned)
    assert all(2 <= max(trial.intermediate_values) <= 12 for trial in pruned)
    rows = {row["lr"]: row for row in rows_of(tmp_path)}
    for trial in pruned:
        row = rows[trial.params["lr"]]
        assert row["status"] == "pruned"
        assert row["test/reg/rmse"] == "", "the test split is not read for it"


@pytest.mark.usefixtures("jobs_here")
def test_objectives_give_the_front_and_seeds_their_mean(tsmtl_train, tmp_path):
    settings = ["lr=1e-4,1e-3,1e-2", "seed=0,1", "hydra.sweeper.n_trials=3", "hydra.sweeper.sampler=random"]
    names = ["val/cls/log_loss", "val/reg/rmse"]
    answer = tsmtl_train(*SEARCH, *settings, f"hydra.sweeper.objectives=[{','.join(names)}]", "hydra.sweeper.seed=1")
    assert answer.code == 0, answer.err
    means: dict[str, list[float]] = {}
    rows = rows_of(tmp_path)
    for lr in {row["lr"] for row in rows}:
        both = [row for row in rows if row["lr"] == lr]
        assert sorted(row["seed"] for row in both) == ["0", "1"]
        means[lr] = [sum(float(row[name]) for row in both) / 2 for name in names]
    beaten = {
        a for a in means for b in means if b != a and all(y <= x for x, y in zip(means[a], means[b], strict=True))
    }
    front = {row["lr"]: [float(row[name]) for name in names] for row in rows_of(tmp_path, "pareto.csv")}
    assert set(front) == set(means) - beaten
    for lr, values in front.items():
        assert values == pytest.approx(means[lr], rel=1e-3)
    assert (tmp_path / "sweep/pareto.png").stat().st_size > 0
    drawn = {"sweep.png", "pareto.png"}
    assert drawn <= {path.name for path in (tmp_path / "sweep").iterdir()}
    again = [*SEARCH, *settings, f"hydra.sweeper.objectives=[{','.join(names)}]", "hydra.sweeper.seed=1"]
    assert tsmtl_train(*again, "trainer.pictures=false").code == 0
    assert not drawn & {path.name for path in (tmp_path / "sweep").iterdir()}


@pytest.mark.usefixtures("jobs_here")
def test_failing_trials_are_replaced_until_too_many_have_failed(tsmtl_train, tmp_path):
    # Each value alone is fine; what contradicts the data is found when the model is built.
    answer = tsmtl_train(*SEARCH, "input_size=7", "lr=interval(1e-4,1e-2)", "hydra.sweeper.max_failed=2")
    assert answer.code == 1
    assert answer.lines[-1].startswith("tsmtl-train: 2 of 2 trials failed: trial (lr=")
    assert [row["status"] for row in rows_of(tmp_path)] == ["failed", "failed"]
    assert [trial.state for trial in study_of(tmp_path).trials] == [TrialState.FAIL] * 2


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        (
            ["lr=interval(1e-5,1)", "output_channels=0,4"],
            ["output_channels: must be a whole number, at least 1 (got 0)", "lr: must be a number in (0, 0.1] (got 1)"],
        ),
        (["lr=1e-3,1e-2", "hydra.sweeper.n_trials=0"], ["hydra.sweeper.n_trials: must be a whole number, at least 1"]),
        (["lr=1e-3,1e-2", "best_model_path=x.pt"], ["best_model_path: the trials would overwrite each other's x.pt"]),
        (
            ["lr=1e-3,1e-2", "trainer.monitor=val/loss,val/reg/rmse"],
            ["trainer.monitor: is what trials are compared by"],
        ),
        (["lr=tag(log,choice(1e-3,1e-2))"], ["lr: tag(log, ...) says nothing here"]),
        (
            ["lr=1e-3,1e-2", "hydra.sweeper.pruner=median"],
            ["hydra.sweeper.pruner_warmup: must be less than num_epochs"],
        ),
        (
            ["lr=1e-3,1e-2", "hydra.sweeper.objectives=[val/reg/r2,val/reg/r2]"],
            ["hydra.sweeper.objectives: one alone is"],
        ),
        (["lr=1e-3,1e-2", "hydra.sweeper.trials=3"], ["hydra.sweeper.trials: unknown setting"]),
        (["lr=1e-3,1e-2", "hydra.sweeper.objectives=[val/loss]"], ["hydra.sweeper.objectives: one alone is"]),
        (
            ["lr=1e-3,1e-2", "hydra.sweeper.objectives=[val/los,val/reg/rmse]"],
            ["hydra.sweeper.objectives: must be one of val/loss"],
        ),
        (
            ["lr=1e-3,1e-2", "seed=0,1", "hydra.sweeper.pruner=median", "hydra.sweeper.pruner_warmup=1"],
            ["hydra.sweeper.pruner: a trial of several seeds"],
        ),
        (
            ["lr=1e-3,1e-2", "hydra/launcher=basic"],
            ["hydra/launcher: a search needs one of tsmtl's (got BasicLauncher)"],
        ),
        (["lr=1e-3,1e-2", "hydra.sweeper.storage=nodb://x"], ["hydra.sweeper.storage: cannot open nodb://x"]),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_anything_trains(tsmtl_train, tmp_path, settings, lines):
    answer = tsmtl_train(*REFUSED, *settings)
    assert answer.code == 2
    assert len(answer.lines) == len(lines)
    for said, line in zip(answer.lines, lines, strict=True):
        assert said.startswith(f"tsmtl-train: {line}"), said
    assert not list(tmp_path.rglob("summary.json"))


@pytest.mark.usefixtures("jobs_here")
def test_what_failed_is_not_run_again_unless_asked_for_and_then_goes_well(tsmtl_train, vectors, tmp_path, monkeypatch):
    monkeypatch.setattr("tsmtl.sweep.search.MOST_REPEATS", 10)
    data = ["-m", "hydra/sweeper=tsmtl_optuna", "hydra.sweep.dir=sweep", "model=fc", "hidden_sizes=[4]", "data=npz"]
    search = [*data, f"data.path={vectors}", "device=cpu", "num_epochs=1", "lr=choice(1e-3,1e-2)", "batch_size=16"]
    search += ["hydra.sweeper.n_trials=2"]
    good = vectors.read_bytes()
    vectors.write_bytes(b"garbage")
    first = tsmtl_train(*search)
    assert first.code == 1
    assert "2 of " in first.lines[-1], "two settings fail, however often they are asked for"
    vectors.write_bytes(good)
    again = tsmtl_train(*search)
    assert again.code == 1
    assert not list(tmp_path.rglob("summary.json"))
    assert "hydra.launcher.retry_failed=true tries again those of an earlier command" in again.err
    assert tsmtl_train(*search, "hydra.launcher.retry_failed=true").code == 0
    states = [trial.state for trial in study_of(tmp_path).trials]
    assert states.count(TrialState.COMPLETE) == 2

    np.savez(vectors, **{**np.load(vectors), "X": np.zeros((90, 6), dtype=np.float32) + np.arange(90)[:, None]})
    other = tsmtl_train(*search, "hydra.sweeper.n_trials=3")
    said = "data: not what the trials in sweep were made with; name another hydra.sweep.dir for another search"
    assert (other.code, other.lines) == (2, [f"tsmtl-train: {said}"])


class StubComposer:
    def __init__(self):
        self.composed = []

    def job(self, number, overrides, swept):
        self.composed.append(number)
        return Job(swept, {"overrides": list(overrides)}, frozenset(), {})


def searching(tmp_path: Path, words: str = "++lr=choice(1e-3,1e-2)", **settings: object) -> Search:
    (tmp_path / "sweep").mkdir(exist_ok=True)
    space = search_space(OverridesParser.create().parse_overrides([words]))
    checked_settings = SearchSettings.model_validate({**DEFAULTS, **settings})
    plan = Plan(tmp_path / "sweep")
    return Search(study_of(tmp_path), space, StubComposer(), checked_settings, plan, ["val/loss"], None, False)


def test_a_trial_that_another_process_has_told_meanwhile_is_left_alone(tmp_path):
    ours, theirs = (searching(tmp_path, n_trials=1) for _ in range(2))
    job = next(ours.jobs())
    assert next(theirs.jobs(), None) is None, "the one trial is ours"
    ours.ended(job, Outcome("cut", "terminated"))
    adopted = next(theirs.jobs())
    assert adopted.key == job.key, "who gives a trial up leaves it to others"
    theirs.ended(adopted, Outcome("failed", "no more"))
    assert [trial.state for trial in study_of(tmp_path).trials] == [TrialState.FAIL]
    assert not list((tmp_path / "sweep/trials").glob("[0-9]*.lock"))


def test_a_trial_is_told_and_asked_for_while_no_other_process_counts(tmp_path, monkeypatch):
    search = searching(tmp_path, n_trials=2)
    held: list[str] = []

    def noting(name: str) -> None:
        does = getattr(search.study, name)

        def noted(*given: object, **named: object) -> object:
            with pytest.raises(Timeout):
                FileLock(tmp_path / "sweep/trials/study.lock").acquire(timeout=0)
            held.append(name)
            return does(*given, **named)

        monkeypatch.setattr(search.study, name, noted)

    noting("ask")
    noting("tell")
    search.ended(next(search.jobs()), Outcome("failed", "no more"))
    assert held == ["ask", "tell"]
    with FileLock(tmp_path / "sweep/trials/study.lock").acquire(timeout=0):
        pass


def test_a_trial_that_is_killed_again_and_again_ends_the_search(tmp_path):
    search, reason = searching(tmp_path, "++lr=choice(1e-3)", max_failed=3), "killed by SIGKILL"
    ran = 0
    for job in search.jobs():
        search.ended(job, Outcome("killed", reason))
        ran += 1
    assert ran == 3
    assert search.failures == [("lr=0.001", Outcome("killed", reason))] * 3
    assert search.exhausted is not None


def test_settings_that_come_again_are_composed_once(tmp_path):
    search = searching(tmp_path, "++lr=choice(1e-3)", max_failed=3)
    for job in search.jobs():
        search.ended(job, Outcome("failed", "no"))
    assert len(search.study.trials) == 3
    assert search.composer.composed == [0]


def test_the_failing_seed_names_a_failed_trial(tmp_path):
    search = searching(tmp_path)
    search.space = replace(search.space, seeds=[["++seed=0"], ["++seed=1"]])
    jobs = search.jobs()
    first, second = next(jobs), next(jobs)
    search.ended(first, Outcome("failed", "no"))
    assert not search.failures
    search.ended(second, Outcome("pruned", "enough"))
    assert search.failures == [(first.name, Outcome("failed", "no"))]


@pytest.mark.usefixtures("jobs_here")
def test_the_command_line_beats_the_parameters_of_a_file(tsmtl_train, tmp_path):
    params = ["hydra.sweeper.params.lr='choice(1e-3,1e-2)'", "hydra.sweeper.params.output_channels='choice(2,4)'"]
    search = [*SEARCH, *params, "lr=5e-3", "hydra.sweeper.n_trials=1", "num_epochs=1"]
    words = [word for word in search if not word.startswith("output_channels=")]
    assert tsmtl_train(*words, "hydra.sweeper.storage=sqlite").code == 0
    (config,) = tmp_path.glob("sweep/*/config.yaml")
    assert yaml.safe_load(config.read_text())["lr"] == 5e-3
    (trial,) = open_study("sqlite", tmp_path / "sweep", ["minimize"]).trials
    assert set(trial.params) == {"output_channels"}


def test_sweeps_of_two_folders_in_one_database_are_two_studies(tmp_path):
    database = f"sqlite:///{tmp_path / 'shared.db'}"
    studies = [open_study(database, tmp_path / name / "lr", ["minimize"]) for name in "ab"]
    studies[0].ask()
    assert [len(study.trials) for study in studies] == [1, 0]
    assert len(open_study(database, tmp_path / "a" / "lr", ["minimize"]).trials) == 1


@pytest.mark.parametrize("pruner", ["median", "successive_halving"])
def test_a_pruner_leaves_every_trial_its_warm_up(tmp_path, pruner):
    study = open_study("journal", tmp_path, ["minimize"], pruner, warmup=3)
    for _ in range(4):
        trial = study.ask()
        for epoch in range(1, 7):
            trial.report(0.1, epoch)
            assert epoch < 3 or not trial.should_prune(), "as good as any"
        study.tell(trial, 0.1)
    hopeless, pruned = study.ask(), []
    for epoch in range(1, 7):
        hopeless.report(9.0, epoch)
        pruned.append(hopeless.should_prune())
    assert pruned[:2] == [False, False]
    assert any(pruned[2:])


@pytest.mark.usefixtures("jobs_here")
def test_a_study_goes_on_with_its_own_settings_alone(tsmtl_train, tmp_path):
    assert tsmtl_train(*SEARCH, "lr=1e-3,1e-2", "hydra.sweeper.n_trials=1").code == 0
    dry = tsmtl_train(*SEARCH, "lr=1e-3,1e-2", "hydra.sweeper.n_trials=5", "hydra.launcher.dry_run=true")
    assert (dry.code, dry.out) == (0, "4 of 5 trials are left\n")
    answer = tsmtl_train(*SEARCH, "lr=1e-3,1e-2", "num_epochs=3")
    said = "num_epochs: 2 in the study in sweep, 3 here; name another hydra.sweep.dir for another search"
    assert (answer.code, answer.lines) == (2, [f"tsmtl-train: {said}"])
    answer = tsmtl_train(*SEARCH, "lr=1e-3,3e-3")
    assert answer.code == 2
    assert answer.lines[0].startswith("tsmtl-train: lr: the study in sweep searches CategoricalDistribution")
    answer = tsmtl_train(*SEARCH, "lr=1e-3,1e-2", "hydra.sweeper.objectives=[val/loss,val/reg/r2]")
    assert answer.code == 2
    assert "sweep is to minimize; name another hydra.sweep.dir for other objectives" in answer.lines[0]


def test_an_interval_of_a_setting_of_whole_numbers_is_one_of_whole_numbers():
    class Composer:
        def job(self, number, overrides, swept):
            values = dict(override.split("=") for override in overrides)
            if not values["++layers"].isdigit():
                raise UserError(f"layers: must be a whole number (got {values['++layers']})")
            return tuple(overrides)

    words = OverridesParser.create().parse_overrides(["++layers=interval(2,6)", "++dropout=interval(0,1)"])
    space, _ = checked(search_space(words), Composer())
    assert space.distributions == {"layers": IntDistribution(2, 6), "dropout": FloatDistribution(0, 1)}


def test_without_optuna_the_install_line_is_given(tsmtl_train, monkeypatch):
    monkeypatch.setattr("tsmtl.sweep.search_command.find_spec", lambda name: None)
    answer = tsmtl_train(*SEARCH, "lr=1e-3,1e-2")
    said = "tsmtl-train: hydra/sweeper: a search needs Optuna; install it with: pip install 'tsmtl[sweep]'"
    assert (answer.code, answer.lines) == (2, [said])
