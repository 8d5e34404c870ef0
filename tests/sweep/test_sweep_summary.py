"""What a sweep leaves at its end: what it says, the picture, and the link to the best model."""

import sys

import pytest

from tests.sweep.records import write_job
from tsmtl.config.launcher_settings import LauncherSettings
from tsmtl.config.logs import close_logs
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.launch import launch
from tsmtl.sweep.results import results_of
from tsmtl.sweep.summary import conclude, get_ready

DRAWS = "tsmtl.report.sweep_picture"


def concluded(folder, capsys, pictures=True) -> list[str]:
    conclude(folder, results_of(folder), pictures)
    return capsys.readouterr().out.splitlines()


def test_the_table_ends_with_the_files_and_the_best_is_linked(tmp_path, capsys):
    for name, lr, score in (("a", 0.1, 0.5), ("b", 0.01, 0.25)):
        write_job(tmp_path, name, {"lr": lr}, score, swept=("lr",))
    lines = concluded(tmp_path, capsys)
    assert lines[1:4] == [
        "  lr  val/loss  val/reg/rmse  epoch  seconds",
        "0.01      0.25           0.5      3      1.5  done",
        " 0.1       0.5             1      3      1.5  done",
    ]
    assert lines[5:] == [
        f"results     {tmp_path / 'results.csv'}",
        f"picture     {tmp_path / 'sweep.png'}",
        f"best model  {tmp_path / 'best_model.pt'}",
    ]
    assert (tmp_path / "best_model.pt").readlink().as_posix() == "b/best_model.pt"
    write_job(tmp_path, "c", {"lr": 0.001}, 0.1, swept=("lr",))
    concluded(tmp_path, capsys)
    assert (tmp_path / "best_model.pt").read_text() == "c"
    write_job(tmp_path, "d", {"lr": 0.001}, 0.1, swept=("lr",), monitor="val/reg/rmse")
    lines = concluded(tmp_path, capsys)
    assert not (tmp_path / "best_model.pt").is_symlink(), "nothing says any more that it is the best"
    assert [line.split()[:3] for line in lines[1:3]] == [["lr", "monitor", "score"], ["0.1", "val/loss", "0.5"]]


def test_a_sweep_without_pictures_has_none_nor_one_of_an_earlier_sweep(tmp_path, capsys):
    for lr in (0.1, 0.01):
        write_job(tmp_path, f"{lr}", {"lr": lr}, lr, swept=("lr",))
    concluded(tmp_path, capsys)
    assert (tmp_path / "sweep.png").exists()
    lines = concluded(tmp_path, capsys, pictures=False)
    assert not any(line.startswith("picture") for line in lines)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("reason", ["", "ValueError: all\nlost"])
def test_a_sweep_without_any_result_says_so_without_a_picture(tmp_path, capsys, reason):
    write_job(tmp_path, "a", {"lr": 0.1}, swept=("lr",), reason=reason)
    write_job(tmp_path, "b", {"lr": 0.2}, swept=("lr",), status="cut")
    lines = concluded(tmp_path, capsys)
    assert lines[2].split() == ["0.1", *f"failed: {reason}".removesuffix(": ").split()]
    assert lines[3].split() == ["0.2", "cut"]
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "results.csv"}


def test_an_empty_sweep_has_empty_tables(tmp_path, capsys):
    concluded(tmp_path, capsys)
    assert (tmp_path / "results.csv").read_text() == ""


def test_scores_that_are_not_finite_are_not_drawn(tmp_path, capsys):
    for number in range(2):
        write_job(tmp_path, f"{number}", {"lr": 0.1 + number}, float("inf"), swept=("lr",))
    concluded(tmp_path, capsys)
    assert not (tmp_path / "sweep.png").exists()


def test_a_model_that_the_user_put_where_the_link_would_be_stays(tmp_path, capsys):
    path = tmp_path / "best_model.pt"
    write_job(tmp_path, "a", {"lr": 0.1, "best_model_path": str(path)}, 0.5, swept=("lr",))
    summary = tmp_path / "a" / "summary.json"
    summary.write_text(summary.read_text().replace(str(tmp_path / "a" / "best_model.pt"), str(path)))
    path.write_text("the model")
    concluded(tmp_path, capsys)
    assert not path.is_symlink()
    assert path.read_text() == "the model"


def test_what_draws_is_imported_and_a_library_that_is_not_there_costs_no_job_under_way(monkeypatch):
    monkeypatch.delitem(sys.modules, DRAWS, raising=False)
    get_ready()
    assert DRAWS in sys.modules
    monkeypatch.setitem(sys.modules, DRAWS, None)
    get_ready()


@pytest.mark.parametrize(
    ("key", "pictures", "early"), [("lr", True, True), ("seed", True, False), ("lr", False, False)]
)
def test_it_is_imported_while_the_last_job_runs_where_there_is_a_picture(
    tmp_path, compose, monkeypatch, key, pictures, early
):
    called: list[str] = []
    monkeypatch.setattr("tsmtl.sweep.launch.get_ready", lambda: called.append("ready"))
    flat = compose("model=fc", f"trainer.pictures={pictures}").flat
    jobs = [Job({key: str(number)}, {**flat, "seed": number}, frozenset(), {}) for number in range(3)]

    class Runner:
        def run(self, order, follower):
            first, second = next(order), next(order)
            follower.ended(first, 0, Outcome("done"))
            third = next(order)
            assert not called
            follower.ended(second, 1, Outcome("done"))
            assert called == (["ready"] if early else [])
            follower.ended(third, 0, Outcome("done"))

    settings = LauncherSettings(n_jobs=2, retry_failed=False, dry_run=False)
    try:
        launch(jobs, settings, tmp_path, lambda most, left, needs: Runner())
    finally:
        close_logs()
    assert len(called) == early
