"""Which folder a job gets, and what is left to do."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.sweep.conftest import write_series
from tsmtl.config.arguments import plain_settings, prepare_arguments
from tsmtl.config.location import config_dir
from tsmtl.data.checks import data_hash
from tsmtl.data.loading import load_bundle
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.plan import Plan, plan
from tsmtl.sweep.record import record_of


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job on ``data.npz``, with settings changed."""
    monkeypatch.chdir(tmp_path)
    write_series(tmp_path / "data.npz", seed=0)
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        flat = plain_settings(compose("train", prepare_arguments(["data=npz", "data.path=data.npz", "model=gru"])))

    def make(path: str = "data.npz", **changes: object) -> Job:
        swept = {key: str(value) for key, value in changes.items()}
        places = {} if path == "data.npz" else {"data.path": path}
        changed = {**flat, "data": {**flat["data"], "path": path}, **changes}
        return Job(swept | places, changed, frozenset(), {})

    return make


def leave(job: Job, status: str) -> None:
    """Leave what a run of a job leaves."""
    settings = job.settings()
    record = replace(record_of(job), data=data_hash(load_bundle(settings.data, settings.tasks)))
    record.ended(Outcome(status)).write()
    if status == "done":
        (record.folder / "summary.json").write_text("{}")


@pytest.mark.parametrize(
    ("left", "found"), [("done", "done"), ("failed", "failed"), ("killed", "cut"), ("cut", "cut"), ("pruned", "pruned")]
)
def test_what_was_left_is_found(job, tmp_path, left, found):
    (new,) = plan([job(lr=0.1)], tmp_path / "s")
    assert new.status == "new"
    leave(new.job, left)
    (again,) = plan([job(lr=0.1)], tmp_path / "s")
    assert (again.status, again.job.folder) == (found, new.job.folder)


def test_a_changed_setting_or_file_is_another_job_beside_the_old_one(job, tmp_path):
    (old,) = plan([job(lr=0.1)], tmp_path / "s")
    leave(old.job, "done")
    (other,) = plan([job(lr=0.01)], tmp_path / "s")
    assert other.status == "new"
    write_series(tmp_path / "data.npz", seed=1)
    (beside,) = plan([job(lr=0.1)], tmp_path / "s")
    assert (beside.status, beside.job.folder) == ("new", Path(f"{old.job.folder}_2"))


def test_a_file_that_moved_is_the_same_and_one_that_is_gone_takes_no_result_away(job, tmp_path):
    (old,) = plan([job(lr=0.1)], tmp_path / "s")
    leave(old.job, "done")
    write_series(tmp_path / "moved.npz", seed=0)
    write_series(tmp_path / "other.npz", seed=1)
    found = plan([job(path, lr=0.1) for path in ("other.npz", "moved.npz")], tmp_path / "s")
    assert [one.status for one in found] == ["new", "done"]
    both = plan([job(path, lr=0.1) for path in ("data.npz", "moved.npz")], tmp_path / "s")
    assert [one.status for one in both] == ["done", "new"], "two jobs do not share a folder"
    (tmp_path / "data.npz").unlink()
    (gone,) = plan([job(lr=0.1)], tmp_path / "s")
    assert gone.status == "done"


def test_another_checkpoint_to_start_from_is_another_job(job, tmp_path):
    (tmp_path / "start.pt").write_text("one")
    settings = {"stage": "finetune", "pretrained_path": "start.pt"}
    (old,) = plan([job(**settings)], tmp_path / "s")
    leave(old.job, "done")
    assert plan([job(**settings)], tmp_path / "s")[0].status == "done"
    (tmp_path / "start.pt").write_text("two")
    assert plan([job(**settings)], tmp_path / "s")[0].status == "new"


def test_the_same_job_twice_is_run_once_and_said(job, tmp_path, caplog):
    assert len(plan([job(lr=1), job(lr=1.0), job(lr=2)], tmp_path / "s")) == 2
    assert "lr=1.0: asked for twice; run once" in caplog.text


def test_a_search_may_ask_twice_for_the_same(job, tmp_path):
    book = Plan(tmp_path / "s")
    first = book.place(job(lr=0.1)).job
    leave(first, "done")
    again = [book.place(job(lr=0.1)) for _ in range(2)]
    assert [(one.status, one.job.folder) for one in again] == [("done", first.folder)] * 2


@pytest.mark.parametrize(
    "value", ["../../etc/passwd", "/", "a b", "[1,2]", "null", 'it\'s "so"', "한글" * 100, "x" * 1000, "..", "", "\n"]
)
def test_any_value_gives_a_folder_right_below_the_sweeps(job, tmp_path, value):
    (one,) = plan([job(note=value)], tmp_path / "s")
    assert one.job.folder is not None
    assert one.job.folder.parent == tmp_path / "s"
    one.job.folder.mkdir(parents=True)
    assert one.job.folder.resolve().parent == tmp_path / "s"
    assert one.job.folder.name.startswith("note=")


def test_a_folder_that_is_somebody_elses_is_not_taken(job, tmp_path):
    (one,) = plan([replace(job(lr=0.1), subdir="{settings}/x")], tmp_path / "s")
    assert one.job.folder == tmp_path / "s" / "lr=0.1" / "x"
    one.job.folder.mkdir(parents=True)
    (one.job.folder / "last.pt").touch()
    (other,) = plan([replace(job(lr=0.1), subdir="{settings}/x")], tmp_path / "s")
    assert other.job.folder == tmp_path / "s" / "lr=0.1" / "x_2"
