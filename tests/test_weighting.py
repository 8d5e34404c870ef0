"""``weighting=`` in whole runs: settings, what a run records, and that it goes on to the same bits with each method."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.test_resume import assert_same_run
from tests.test_train import TINY_MODEL, rows_of, summary_of
from tsmtl.config.errors import UserError
from tsmtl.weighting.registry import METHODS

FCN = ["model=lstm_fcn", *TINY_MODEL["lstm_fcn"], "device=cpu", "num_epochs=3", "batch_size=8", "lr=1e-2"]
EACH = pytest.mark.parametrize("name", METHODS)


@pytest.fixture
def partly(tmp_path: Path) -> list[str]:
    """Settings that read 60 instances, of which a half has a class and another half a number."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2, 12)).astype(np.float32)
    ids, numbers = (x[:, 0].mean(axis=1) > 0).astype(int), 3 * x[:, 1].mean(axis=1) + 10
    ids[:36:2], numbers[:18] = -1, np.nan
    np.savez(
        tmp_path / "partly.npz", X=x, y_cls=ids, y_reg=numbers, split=np.repeat(["train", "val", "test"], [36, 12, 12])
    )
    return ["data=npz", "data.path=partly.npz", "data.split_key=split"]


@EACH
def test_a_run_that_is_stopped_goes_on_to_the_same_bits(tsmtl_train, tmp_path, partly, stopped_at, name):
    settings = [*FCN, *partly, f"weighting={name}", "data.augment=[{jitter:0.1},{mixup:0.2}]"]
    assert tsmtl_train(*settings, "hydra.run.dir=whole").code == 0
    stopped_at(8)  # of 5 steps an epoch: in the second epoch
    assert tsmtl_train(*settings, "hydra.run.dir=cut").code == 143
    answer = tsmtl_train(*settings, "hydra.run.dir=cut", "resume=true")
    assert answer.code == 0, answer.err
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    whole, cut = (summary_of(tmp_path / folder)["weighting"] for folder in ("whole", "cut"))
    assert whole == cut
    assert whole["name"] == name
    assert set(whole["weights"]) == {"cls", "reg"}
    rows = rows_of(tmp_path / "whole/metrics.csv")
    assert len(rows) == 3
    for task, weight in whole["weights"].items():
        assert float(rows[-1][f"weight/{task}"]) == pytest.approx(weight, rel=1e-5)


@pytest.mark.parametrize("name", ["uncertainty", "gradnorm", "dbmtl", "cagrad"])
def test_a_backbone_frozen_for_an_epoch_or_for_good_learns_with_every_method(tsmtl_train, tmp_path, name):
    data = ["data.n_instances=60", "data.test_fraction=0.3"]
    assert tsmtl_train(*FCN, *data, "task=reg", "num_epochs=1", "best_model_path=first.pt").code == 0
    tune = [*FCN, *data, "stage=finetune", "pretrained_path=first.pt", f"weighting={name}", "trainer.gradient_clip=0.5"]
    for more in (["freeze=true"], ["trainer.unfreeze_at=2", "trainer.lr_backbone_factor=0.5"]):
        answer = tsmtl_train(*tune, *more, f"hydra.run.dir={more[0]}")
        assert answer.code == 0, answer.err
        losses = [float(row["train/loss"]) for row in rows_of(tmp_path / more[0] / "metrics.csv")]
        assert losses[-1] < losses[0]


def test_with_fixed_nothing_is_added_and_alpha_is_recorded(tsmtl_train, tmp_path):
    data = ["data.n_instances=60", "data.test_fraction=0.3", "num_epochs=1"]
    assert tsmtl_train(*FCN, *data, "alpha=0.3", "hydra.run.dir=a").code == 0
    assert not [column for column in rows_of(tmp_path / "a/metrics.csv")[0] if column.startswith("weight")]
    assert summary_of(tmp_path / "a")["weighting"] == {"name": "fixed", "weights": {"cls": 0.3, "reg": 0.7}}
    assert tsmtl_train(*FCN, *data, "task=reg", "hydra.run.dir=b").code == 0
    assert summary_of(tmp_path / "b")["weighting"] == {"name": "fixed", "weights": {"reg": 1.0}}


def test_losses_of_all_tasks_together_are_their_mean_and_what_was_learnt_is_recorded(tsmtl_train, tmp_path):
    data = ["data.n_instances=60", "data.test_fraction=0.3"]
    assert tsmtl_train(*FCN, *data, "weighting=famo", "weighting.lr=0.1", "hydra.run.dir=a").code == 0
    for row in rows_of(tmp_path / "a/metrics.csv"):
        for split in ("train", "val"):
            mean = (float(row[f"{split}/cls/loss"]) + float(row[f"{split}/reg/loss"])) / 2
            assert float(row[f"{split}/loss"]) == pytest.approx(mean, rel=1e-4)
    said = summary_of(tmp_path / "a")["weighting"]
    assert (said["name"], said["lr"], said["decay"]) == ("famo", 0.1, 0.001)
    assert set(said["learnt"]) == {"cls", "reg"}
    assert said["learnt"]["cls"] != 0
    answer = tsmtl_train("experiment=a/config.yaml", "hydra.run.dir=b")
    assert answer.code == 0, answer.err
    first, again = ((tmp_path / name / "predictions_test.csv").read_bytes() for name in "ab")
    assert first == again


@EACH
def test_a_loss_that_is_not_finite_stops_the_run_in_one_line(tsmtl_train, tmp_path, partly, name):
    with np.load(tmp_path / "partly.npz") as arrays:
        np.savez(tmp_path / "partly.npz", **{**arrays, "y_reg": 1e25 * arrays["y_reg"]})
    answer = tsmtl_train(*FCN, *partly, "data.scale_target=none", f"weighting={name}")
    assert answer.code == 1
    assert "the loss is inf at epoch 1" in answer.lines[-1]
    assert "Traceback" not in answer.err


def test_uncertainty_warns_of_losses_that_begin_far_apart(tsmtl_train):
    data = ["data.n_instances=60", "data.test_fraction=0.3", "num_epochs=1"]
    answer = tsmtl_train(*FCN, *data, "weighting=uncertainty", "data.scale_target=none", "hydra.run.dir=a")
    assert "weighting: before training the loss of reg is" in answer.err
    for more in (["weighting=uncertainty"], ["weighting=bisector", "data.scale_target=none"]):
        assert "before training" not in tsmtl_train(*FCN, *data, *more, f"hydra.run.dir={len(more)}").err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["weighting=famo", "alpha=0.3"], "alpha: is the share of task 1 with weighting=fixed; famo finds shares"),
        (
            ["model=gru", "weighting=pcgrad", "task=reg"],
            "weighting: pcgrad weighs tasks against each other; task=reg has one",
        ),
        (
            ["weighting=pcgrad", "weighting.lr=1"],
            "weighting.lr: not a setting of weighting=pcgrad, but of weighting=uncertainty, weighting=famo",
        ),
        (
            ["weighting=dwa", "weighting.temprature=1"],
            "weighting.temprature: unknown setting; did you mean 'weighting.temp",
        ),
        (
            ["weighting=dwa", "weighting.temperature=0"],
            "weighting.temperature: must be a number, greater than 0 (got 0)",
        ),
        (["weighting=cagrad", "weighting.c=1"], "weighting.c: must be a number in [0, 1) (got 1)"),
        (["weighting.name=famoo"], "weighting: must be one of fixed, uncertainty, dwa"),
        (["weighting.name=famo"], "weighting.lr: missing; weighting=famo needs it"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(compose, arguments, line):
    with pytest.raises(UserError) as refusal:
        compose(*arguments)
    assert refusal.value.lines[0].startswith(line)


def test_a_method_that_is_not_there_is_refused_with_the_nearest_and_leaves_nothing(tsmtl_train, tmp_path):
    answer = tsmtl_train("weighting=uncertanty")
    assert (answer.code, len(answer.lines)) == (2, 1)
    assert answer.lines[0].endswith("(got 'uncertanty'); did you mean 'uncertainty'?")
    answer = tsmtl_train("weighting=bisector", "alpha=0.3")
    assert (answer.code, len(answer.lines)) == (2, 1)
    assert list(tmp_path.iterdir()) == []


def test_the_network_lends_uncertainty_its_learning_rate(compose):
    assert compose("weighting=uncertainty").weighting.lr is None
    assert compose("weighting=uncertainty", "weighting.lr=0.05").weighting.lr == 0.05
    assert compose("weighting=bisector", "task=multi").weights == {"cls": 0.5, "reg": 0.5}


def test_an_experiment_may_choose_the_method_and_a_pretraining_of_one_task_has_none(compose, tmp_path):
    (tmp_path / "mine.yaml").write_text("weighting: gradnorm\n")
    assert compose(f"experiment={tmp_path / 'mine.yaml'}").weighting.name == "gradnorm"
    settings = compose("experiment=pretrain_finetune", "weighting=dbmtl")
    assert settings.weighting.name == "dbmtl"
    assert settings.pretraining.weighting.name == "fixed"
    settings = compose("experiment=pretrain_finetune", "pretrain.task=multi", "weighting=dbmtl")
    assert settings.pretraining.weighting.name == "dbmtl"


def test_a_pretraining_of_one_task_runs_again_from_its_own_settings(tsmtl_train, tmp_path):
    data = ["data.n_instances=60", "data.test_fraction=0.3", "num_epochs=1"]
    answer = tsmtl_train("experiment=pretrain_finetune", *FCN, *data, "weighting=cagrad", "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    (config,) = (tmp_path / "outputs/pretrained").glob("*/config.yaml")
    content = yaml.safe_load(config.read_text())
    assert content["weighting"] == {"name": "fixed"}
    assert {"override /weighting": "fixed"} in content["defaults"]
    assert {"override /weighting": "cagrad"} in yaml.safe_load((tmp_path / "a/config.yaml").read_text())["defaults"]
