"""``trainer.best_per_task`` in whole runs: which epochs are kept beside the best one, and what they are worth."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.test_resume import assert_same, assert_same_run
from tests.test_train import TINY_MODEL, rows_of, summary_of
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.config.errors import UserError

# Steps so large that the epochs go up and down, and no score agrees with another.
CNN = ["model=cnn1d", *TINY_MODEL["cnn1d"], "device=cpu", "data.n_instances=60", "data.test_fraction=0.3", "lr=0.1"]
RUN = [*CNN, "num_epochs=12", "seed=4", "trainer.best_per_task=true"]
SCORES = {"cls": "val/cls/macro_f1", "reg": "val/reg/rmse", "joint": "val/joint"}


def without_seconds(folder: Path) -> list[dict[str, str]]:
    return [dict(row, seconds="") for row in rows_of(folder / "metrics.csv")]


def test_each_score_has_its_own_best_epoch_tested_on_all_tasks(tsmtl_train, tsmtl_evaluate, tmp_path):
    answer = tsmtl_train(*RUN, "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    rows, summary = rows_of(tmp_path / "a/metrics.csv"), summary_of(tmp_path / "a")
    found = summary["best_per_task"]
    assert list(found) == list(SCORES)
    assert len({summary["best"]["epoch"], *(entry["epoch"] for entry in found.values())}) > 2, "else nothing is shown"
    for name, score in SCORES.items():
        values = [float(row[score]) for row in rows]
        best = min(values) if name == "reg" else max(values)
        entry, checkpoint = found[name], read_checkpoint(tmp_path / f"a/best_{name}.pt")
        assert entry["epoch"] == checkpoint["epoch"] == values.index(best) + 1
        assert entry["score"] == checkpoint["score"] == pytest.approx(best, rel=1e-5)
        assert entry["monitor"] == checkpoint["monitor"] == score
        assert entry["checkpoint"] == f"best_{name}.pt"
        assert tsmtl_evaluate(f"checkpoint=a/best_{name}.pt", f"output={name}.json").code == 0
        measured = json.loads((tmp_path / f"{name}.json").read_text())["metrics"]
        for task in ("cls", "reg"):
            for metric, value in entry["test"][task].items():
                assert measured[task][metric] == pytest.approx(value, rel=1e-5), (name, task, metric)
    table = answer.out[answer.out.index("best epoch by") :].splitlines()
    assert table[0].split() == ["best", "epoch", "by", "epoch", "cls", "macro_f1", "reg", "rmse", "(%)", "checkpoint"]
    main = {"monitor": "val/loss", "checkpoint": "best_model.pt", **summary["best"], "test": summary["test"]}
    for line, entry in zip(table[1:5], (main, *found.values()), strict=True):
        values = (entry["test"]["cls"]["macro_f1"], entry["test"]["reg"]["rmse"])
        said = [entry["monitor"], str(entry["epoch"]), *(f"{value:.4g}" for value in values), entry["checkpoint"]]
        assert line.split() == said


def test_the_run_itself_is_the_same_without_it(tsmtl_train, tmp_path):
    for folder, more in (("with", []), ("without", ["trainer.best_per_task=false"])):
        assert tsmtl_train(*RUN, *more, "num_epochs=4", f"hydra.run.dir={folder}").code == 0
    ours, theirs = (read_checkpoint(tmp_path / folder / "best_model.pt") for folder in ("with", "without"))
    for key in ("state", "epoch", "score", "monitor"):
        assert_same(ours[key], theirs[key])
    assert without_seconds(tmp_path / "with") == without_seconds(tmp_path / "without")
    assert summary_of(tmp_path / "without")["best_per_task"] is None
    assert [path.name for path in (tmp_path / "without").glob("best_*")] == ["best_model.pt"]


@pytest.mark.parametrize("more", [[], ["trainer.keep=last", "trainer.weight_average=0.9", "weighting=famo"]])
def test_a_run_that_is_stopped_goes_on_to_the_same_checkpoints(tsmtl_train, tmp_path, stopped_at, more):
    settings = [*RUN, *more, "num_epochs=6", "batch_size=8"]
    assert tsmtl_train(*settings, "hydra.run.dir=whole").code == 0
    stopped_at(13)  # of 4 steps an epoch: in the fourth epoch
    assert tsmtl_train(*settings, "hydra.run.dir=cut").code == 143
    answer = tsmtl_train(*settings, "hydra.run.dir=cut", "resume=true")
    assert answer.code == 0, answer.err
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    whole, cut = (summary_of(tmp_path / folder)["best_per_task"] for folder in ("whole", "cut"))
    assert whole == cut
    again = tsmtl_train(*settings, "hydra.run.dir=cut", "resume=true")
    assert "nothing is left to do" in again.err
    assert "best_joint.pt" in again.out


def test_another_run_in_the_folder_clears_them_and_no_model_that_was_named_like_one(tsmtl_train, tmp_path):
    named = "best_model_path=a/best_mine.pt"
    assert tsmtl_train(*RUN, "num_epochs=1", "hydra.run.dir=a", named).code == 0
    assert {p.name for p in (tmp_path / "a").glob("*.pt")} == {
        *("best_cls.pt", "best_reg.pt", "best_joint.pt", "best_mine.pt", "last.pt")
    }
    answer = tsmtl_train(*RUN, "num_epochs=1", "hydra.run.dir=a", "trainer.best_per_task=false")
    assert answer.code == 0, answer.err
    assert {p.name for p in (tmp_path / "a").glob("*.pt")} == {"best_mine.pt", "best_model.pt", "last.pt"}


def test_the_checkpoint_to_start_from_is_not_replaced(tsmtl_train, tmp_path):
    assert tsmtl_train(*RUN, "num_epochs=1", "hydra.run.dir=a").code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "a").glob("*.pt")}
    tune = [*CNN, "num_epochs=1", "stage=finetune", "pretrained_path=a/best_cls.pt"]
    for more in ([], ["trainer.best_per_task=true"]):
        answer = tsmtl_train(*tune, *more, "hydra.run.dir=a")
        assert (answer.code, len(answer.lines)) == (2, 1), answer.err
        assert "hydra.run.dir: this run would replace the checkpoint to start from, a/best_cls.pt" in answer.lines[0]
    assert before == {path: path.read_bytes() for path in (tmp_path / "a").glob("*.pt")}
    assert tsmtl_train(*tune, "hydra.run.dir=b").code == 0


def test_a_pretraining_keeps_its_one_best_epoch(compose):
    settings = compose("experiment=pretrain_finetune", "trainer.best_per_task=true", "trainer.conflict=epoch")
    assert settings.trainer.best_per_task
    assert not settings.pretraining.trainer.best_per_task
    assert settings.pretraining.trainer.conflict == "off"


def test_the_single_task_twin_of_a_comparison_has_nothing_to_compare(compose):
    from tsmtl.config.pretraining import settings_for_task
    from tsmtl.config.schema import check

    flat = compose("model=gru", "trainer.best_per_task=true", "trainer.conflict=epoch").flat
    twin = check(settings_for_task(flat, "reg"))
    assert (twin.trainer.best_per_task, twin.trainer.conflict) == (False, "off")


def test_settings_that_do_not_fit_are_one_line(compose, tsmtl_train, tmp_path):
    with pytest.raises(UserError) as refusal:
        compose("model=gru", "task=reg", "trainer.best_per_task=true")
    assert refusal.value.lines == ["trainer.best_per_task: task=reg has one, whose best epoch trainer.monitor chooses"]
    answer = tsmtl_train(*RUN, "hydra.run.dir=a", "best_model_path=a/best_joint.pt")
    assert answer.code == 2
    assert "a/best_joint.pt is a name that the run folder has for other things" in answer.lines[0]
    assert not (tmp_path / "a/best_joint.pt").exists()


def test_a_score_that_val_does_not_define_is_refused_before_training(tsmtl_train, tmp_path):
    rng = np.random.default_rng(0)
    x, split = rng.normal(size=(40, 2, 12)).astype(np.float32), np.repeat(["train", "val", "test"], [24, 8, 8])
    numbers = np.where(split == "val", 1.0, rng.normal(size=40))
    numbers[:24] += 1.0 - numbers[:24].mean()  # the mean of train is all of val: trivial is perfect
    np.savez(tmp_path / "flat.npz", X=x, y_cls=np.arange(40) % 2, y_reg=numbers, split=split)
    data = ["data=npz", "data.path=flat.npz", "data.split_key=split", "model=gru", "hidden_size=4", "device=cpu"]
    answer = tsmtl_train(*data, "trainer.best_per_task=true", "num_epochs=1", "hydra.run.dir=a")
    assert answer.code == 2, answer.err
    assert answer.lines[-1] == (
        "tsmtl-train: trainer.best_per_task: val/joint is not defined on this val split; take another of "
        "trainer.joint_metrics"
    )
    assert not (tmp_path / "a").exists()
