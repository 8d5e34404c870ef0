"""The order of a comparison's runs, and what becomes of those that fail; no run is trained here."""

import json
import logging

import pytest

from tsmtl.comparison.record import Comparison
from tsmtl.comparison.run_table import rows_of
from tsmtl.comparison.stages import Stages
from tsmtl.comparison.variants import variants_of
from tsmtl.config.compare_settings import compare_settings
from tsmtl.config.launcher_settings import LauncherSettings
from tsmtl.data.loading import load_bundle
from tsmtl.sweep.job import Outcome
from tsmtl.sweep.record import record_of

OWN = {"seeds": 2, "variants": ["multi", "transfer"], "alphas": [], "weightings": [], "budget_task": None}
OWN |= {"label_shares": [1.0], "lr_factors": [1.0, 3.0], "epoch_factors": [1.0], "folder": None}
LAUNCHER = LauncherSettings(n_jobs=None, retry_failed=False, dry_run=False)


class Pretending:
    """A runner that writes what a run would: the score of a val split and figures of test, or its failure."""

    def __init__(self, scores, failing=()):
        self.scores, self.failing, self.ran = scores, failing, []

    def run(self, jobs, follower):
        for job in jobs:
            self.ran.append(job.name)
            follower.started(job, 0)
            bad = job.name.startswith(tuple(self.failing))
            outcome = Outcome("failed", "the loss is nan") if bad else Outcome("done")
            record_of(job).ended(outcome).write()
            if not bad:
                self.write(job)
            follower.ended(job, 0, outcome)

    def write(self, job):
        own = job.settings().tasks
        score = next((value for part, value in self.scores.items() if part in job.name), 0.5)
        test = {"cls": {"macro_f1": score, "accuracy": score}, "reg": {"rmse": 2 - score}}
        about = {"cls": ("cls", 2, ["a", "b"], None), "reg": ("reg", 1, [], "%")}
        tasks = {
            name: {"name": name, "kind": kind, "size": size, "key": name, "unit": unit, "clip": None, "class_names": k}
            for name, (kind, size, k, unit) in about.items()
        }
        summary = {
            "best": {"score": score, "epoch": job.flat["num_epochs"] if score > 0.55 else 1},
            "test": {name: test[name] for name in own},
            "tasks": {name: tasks[name] for name in own},
            "labelled": {name: {"train": 0.24 if "budget" in job.name else 1.0} for name in own},
            "seconds": {"training": 1.0, "all": 2.0},
        }
        (job.folder / "summary.json").write_text(json.dumps(summary))
        lines = ["instance,cls_true,cls_predicted,reg_true,reg_predicted"]
        lines += [f"{i},{'ab'[i % 2]},{'ab'[i % 3 % 2]},{i},{i + 1}" for i in range(12)]
        (job.folder / "predictions_test.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def staged(compose, tmp_path):
    """Run the stages of a small comparison with a runner that pretends."""

    def run(scores=None, failing=(), folder="here", **changes):
        training, own = compose("model=cnn1d", "data.n_instances=60"), compare_settings(OWN | changes)
        runner = Pretending(scores or {}, failing)
        stages = Stages(own, training, LAUNCHER, tmp_path / folder, lambda most, left, needs: runner)
        variants = variants_of(own, training)
        stages.run(variants)
        bundle = load_bundle(training.data, training.tasks)
        return stages, runner, Comparison(own, training, bundle, variants, stages, "tsmtl-compare", 1.0)

    return run


def test_the_search_comes_first_the_transfers_last_and_the_winner_is_not_run_again(staged):
    _, runner, _ = staged({"lr=0.0003": 0.6})
    low, high = "lr=0.0001 num_epochs=1000 seed=", "lr=0.0003 num_epochs=1000 seed="
    scratch, later = ["single_cls", "single_reg", "multi"], ["cls_to_multi", "reg_to_multi"]
    assert runner.ran == [
        *(f"{name} {lr}0" for name in scratch for lr in (low, high)),
        *(f"{name} {high}1" for name in scratch),
        *(f"{name} {lr}0" for name in later for lr in (low, high)),
        *(f"{name} {high}1" for name in later),
    ]


def test_of_equal_scores_the_settings_nearest_to_the_trainings_win(staged):
    stages, _, _ = staged(lr_factors=[0.3, 1.0, 3.0])
    assert {choice.lr for choice in stages.chosen.values()} == {1e-4}


def test_a_best_lr_at_the_edge_and_an_epoch_at_the_end_are_warned_of(staged, caplog):
    with caplog.at_level(logging.WARNING):
        _, _, comparison = staged({"lr=0.0003": 0.6}, lr_factors=[0.3, 1.0, 3.0], variants=["multi"])
    lines = [
        "the greatest lr that was tried is its best; widen compare.lr_factors",
        "still got better in epoch 1000 of 1000; raise compare.epoch_factors or num_epochs",
    ]
    assert {f"multi: {line}" for line in lines} <= set(caplog.messages)
    assert [v["warnings"] for v in comparison.record()["variants"]] == [lines] * 3


def test_a_run_of_a_search_that_fails_leaves_the_others(staged):
    stages, _, _ = staged(failing=["multi lr=0.0003"])
    assert stages.failures == []
    assert stages.chosen["multi"].lr == 1e-4
    rows = rows_of(stages)
    assert [r["status"] for r in rows if r["variant"] == "multi"] == ["done", "failed", "done", "done"]


def test_a_variant_without_a_single_run_is_left_out_and_said(staged):
    stages, _, comparison = staged(failing=["reg_to_multi"])
    names = [f"reg_to_multi lr={lr} num_epochs=1000 seed=0" for lr in ("0.0001", "0.0003")]
    assert stages.failures == [(name, Outcome("failed", "the loss is nan")) for name in names]
    record = comparison.record()
    assert {f["variant"] for f in record["figures"]} == {"single_cls", "single_reg", "multi", "cls_to_multi"}
    assert record["failures"] == [{"run": name, "reason": "failed: the loss is nan"} for name in names]


def test_a_run_that_two_variants_share_fails_once(staged):
    stages, _, _ = staged(failing=["multi lr=0.0001 num_epochs=1000 seed=1"], alphas=[0.5], variants=["multi"])
    assert len(stages.failures) == 1
    assert len({run.folder for run in stages.runs}) == 3 * (2 + 1)


def test_without_a_twins_repetition_its_transfer_and_its_differences_are_left_out(staged, caplog):
    with caplog.at_level(logging.WARNING):
        stages, runner, comparison = staged(failing=["single_reg lr=0.0001 num_epochs=1000 seed=1"])
    assert "reg_to_multi: left out, since not all runs of single_reg are done" in caplog.messages
    assert [name for name, _ in stages.failures] == ["single_reg lr=0.0001 num_epochs=1000 seed=1"]
    assert not [name for name in runner.ran if name.startswith("reg_to_multi") and name.endswith("seed=1")]
    record = comparison.record()
    by_task = {(f["variant"], f["task"]): f["difference"] for f in record["figures"]}
    assert by_task["multi", "reg"] is None
    assert by_task["multi", "cls"]["against"] == "single_cls"
    assert set(record["verdicts"]) == {"cls"}
    assert record["delta_m"] == []


def test_a_task_is_described_by_its_twin_where_all_else_failed(staged):
    _, _, comparison = staged(failing=["multi", "cls_to_multi", "reg_to_multi"])
    record = comparison.record()
    assert {name: about["metric"] for name, about in record["tasks"].items()} == {"cls": "macro_f1", "reg": "rmse"}
    assert [(f["variant"], f["verdict"]) for f in record["figures"]] == [("single_cls", None), ("single_reg", None)]


def test_a_budget_says_how_many_labels_it_really_kept(staged):
    _, _, comparison = staged(budget_task="cls", label_shares=[0.1, 0.24, 1.0])
    record = comparison.record()
    assert [(entry["share"], entry["kept"]) for entry in record["budget"]] == [(0.1, 0.24), (0.24, 0.24), (1.0, 1.0)]
    labels = [variant["label"] for variant in record["variants"] if variant["kind"] == "budget"]
    assert labels[1:4] == [
        "all tasks, 10 % of the labels of cls (24 % kept)",
        "cls alone, 24 % of the labels of cls",
        "all tasks, 24 % of the labels of cls",
    ]


def test_failed_runs_stay_failed_unless_they_are_asked_for_again(staged, tmp_path, compose):
    failing = "multi lr=0.0001 num_epochs=1000 seed=1"
    staged(failing=[failing])
    _, again, _ = staged()
    assert again.ran == []
    training, own = compose("model=cnn1d", "data.n_instances=60"), compare_settings(OWN)
    runner = Pretending({})
    retrying = LAUNCHER.model_copy(update={"retry_failed": True})
    stages = Stages(own, training, retrying, tmp_path / "here", lambda most, left, needs: runner)
    stages.run(variants_of(own, training))
    assert (runner.ran, stages.failures) == ([failing], [])
