"""Tables of a sweep against counts by hand."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.sweep.records import write_job
from tsmtl.sweep.results import results_of
from tsmtl.sweep.statistics import holm, spread, with_both
from tsmtl.sweep.tables import write_tables


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_results_csv_has_a_row_for_each_job_the_best_first(tmp_path):
    write_job(tmp_path, "a", {"lr": 0.1, "model": "gru"}, 0.5, swept=("lr", "model"))
    write_job(tmp_path, "b", {"lr": 0.01, "model": "gru"}, swept=("lr", "model"), reason="ValueError: no")
    write_job(tmp_path, "c", {"lr": 1e-5, "model": "gru"}, 0.25, swept=("lr", "model"))
    write_tables(tmp_path, results_of(tmp_path))
    rows = table(tmp_path / "results.csv")
    columns = ["job", "status", "lr", "monitor", "score", "best_epoch", "seconds", "val/loss", "val/reg/rmse"]
    assert list(rows[0]) == [*columns, "test/reg/rmse", "reason"], "model is the same in all"
    assert [list(row.values()) for row in rows] == [
        ["c", "done", "1e-05", "val/loss", "0.25", "3", "1.5", "0.25", "0.5", "0.75", ""],
        ["a", "done", "0.1", "val/loss", "0.5", "3", "1.5", "0.5", "1", "1.5", ""],
        ["b", "failed", "0.01", "val/loss", "", "", "", "", "", "", "ValueError: no"],
    ]
    assert not (tmp_path / "results_over_seeds.csv").exists()


def test_higher_may_be_better_and_equal_settings_have_one_form(tmp_path):
    monitor = {"monitor": "val/cls/macro_f1", "higher_is_better": True}
    write_job(tmp_path, "a", {"alpha": 1}, 0.5, swept=("alpha",), **monitor)
    write_job(tmp_path, "b", {"alpha": 0.5, "c": None}, 0.9, swept=("alpha",), **monitor)
    write_job(tmp_path, "c", {"alpha": 1.0, "c": [1, 2]}, 0.7, swept=("c",), **monitor)
    results = results_of(tmp_path)
    assert [job.name for job in results.jobs] == ["b", "c", "a"]
    assert [dict(job.values) for job in results.jobs] == [
        {"alpha": "0.5", "c": "null"},
        {"alpha": "1", "c": "[1,2]"},
        {"alpha": "1", "c": ""},
    ]


def test_a_setting_typed_anew_for_the_same_folder_becomes_a_column(tmp_path):
    write_job(tmp_path, "a", {"lr": 0.1, "num_epochs": 5}, 0.5, swept=("lr",), typed=["lr", "num_epochs", "device"])
    write_job(tmp_path, "b", {"lr": 0.1, "num_epochs": 9}, 0.4, swept=("lr",), typed=["lr", "num_epochs", "resume"])
    assert results_of(tmp_path).keys == ["num_epochs"]


def test_other_data_under_the_same_settings_is_told_apart_and_not_averaged(tmp_path):
    for seed in (0, 1):
        write_job(tmp_path, f"a{seed}", {"seed": seed}, 0.5, swept=("seed",), data="a" * 64)
        write_job(tmp_path, f"b{seed}", {"seed": seed}, 0.7, swept=("seed",), data="b" * 64, start="c" * 64)
    results = results_of(tmp_path)
    assert [values for values, _ in results.over_seeds] == [
        {"data sha256": "aaaaaaaa"},
        {"data sha256": "bbbbbbbb+cccccccc"},
    ]


SCORES = {0.1: [0.1, 0.9, 0.8], 0.01: [0.4, 0.5, 0.45], 0.001: [0.2, 0.1]}


def write_seeds(folder: Path) -> None:
    for lr, scores in SCORES.items():
        for seed, score in enumerate(scores):
            write_job(folder, f"{lr}_{seed}", {"lr": lr, "seed": seed}, score, swept=("lr", "seed"))
    write_job(folder, "failed", {"lr": 0.001, "seed": 2}, swept=("lr", "seed"))


def test_settings_are_ranked_by_their_mean_over_the_seeds_and_no_seed_by_itself(tmp_path):
    write_seeds(tmp_path)
    results = results_of(tmp_path)
    order = ["0.01_0", "0.01_1", "0.01_2", "0.1_0", "0.1_1", "0.1_2", "0.001_0", "0.001_1", "failed"]
    assert [job.name for job in results.jobs] == order, "settings that failed with a seed come last"
    assert results.best is not None
    assert results.best.name == "0.01_0", "the first seed of the best settings; 0.1_0 was lucky"


def test_mean_sd_and_interval_over_seeds_are_scipys(tmp_path):
    write_seeds(tmp_path)
    write_tables(tmp_path, results_of(tmp_path))
    rows = table(tmp_path / "results_over_seeds.csv")
    assert [(row["lr"], row["seeds"]) for row in rows] == [("0.01", "3"), ("0.1", "3"), ("0.001", "2")]
    for row in rows:
        scores = np.array(SCORES[float(row["lr"])])
        low, high = stats.t.interval(0.95, len(scores) - 1, scores.mean(), stats.sem(scores))
        for name, factor in (("score", 1), ("val/loss", 1), ("val/reg/rmse", 2), ("test/reg/rmse", 3)):
            found = [float(row[f"{name} {part}"]) for part in ("mean", "sd", "low", "high")]
            expected = [scores.mean(), scores.std(ddof=1), low, high]
            assert found == pytest.approx([factor * value for value in expected], rel=1e-5)


def test_one_seed_has_a_mean_and_no_spread():
    found = spread([3.0])
    assert (found.n, found.mean) == (1, 3.0)
    assert all(map(math.isnan, (found.sd, found.low, found.high)))


def test_jobs_judged_by_different_scores_are_not_ranked(tmp_path):
    write_job(tmp_path, "a", {"task": "cls"}, 0.9, {"cls": {"macro_f1": 0.8}}, ("task",), monitor="val/cls/macro_f1")
    write_job(tmp_path, "b", {"task": "reg"}, 0.1, swept=("task",))
    results = results_of(tmp_path)
    assert results.monitor is None
    assert results.best is None
    write_tables(tmp_path, results)
    rows = table(tmp_path / "results.csv")
    assert [(row["monitor"], row["test/cls/macro_f1"], row["test/reg/rmse"]) for row in rows] == [
        ("val/cls/macro_f1", "0.8", ""),
        ("val/loss", "", "0.3"),
    ]


def test_odd_values_leave_the_tables_whole(tmp_path):
    odd = ["a,b", 'say "so"', "two\nlines", "x" * 500, "../up/there.npz", "한글", "", "null"]
    for number, value in enumerate(odd):
        write_job(tmp_path, f"{number}", {"note": value}, 0.1 + number, swept=("note",))
    write_tables(tmp_path, results_of(tmp_path))
    assert [row["note"] for row in table(tmp_path / "results.csv")] == odd


def test_a_damaged_summary_is_no_result(tmp_path):
    folder = write_job(tmp_path, "a", {"lr": 0.1}, 0.5, swept=("lr",))
    (folder / "summary.json").write_text("{")
    (job,) = results_of(tmp_path).jobs
    assert (job.status, job.record.done) == ("cut", False)


def test_without_chance_of_instances_the_test_is_students_and_without_seeds_the_normal_one():
    for values in ([0.3, 0.1, 0.4], [-2.0, 1.0, 0.5, 3.0, -0.1]):
        found, student = with_both(values, 1e-12, 100), stats.ttest_1samp(values, 0)
        assert (found.p, found.df) == pytest.approx((student.pvalue, len(values) - 1))
        low, high = student.confidence_interval(0.95)
        assert found.half == pytest.approx((high - low) / 2)
    found = with_both([0.5, 0.5 + 1e-12], 0.2, 10**6)
    assert found.p == pytest.approx(2 * stats.norm.sf(2.5), rel=1e-4)
    assert with_both([0.0, 0.0], 0.0, 10).p == 1.0
    assert all(math.isnan(with_both(*given).p) for given in (([0.5, 0.5], 0.0, 10), ([1.0], 0.1, 10)))


def test_what_a_test_would_detect_is_detected_four_times_of_five():
    known = with_both([0.0, 1e-9], 1.0, 10**6)
    assert known.detectable(1) == pytest.approx(stats.norm.ppf(0.975) + stats.norm.ppf(0.8), rel=1e-4)
    assert known.detectable(6) == pytest.approx(stats.norm.ppf(1 - 0.025 / 6) + stats.norm.ppf(0.8), rel=1e-4)


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.4: times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.4.
    assert holm([0.03, 0.01, math.nan, 0.4, 0.02])[:2] == pytest.approx([0.06, 0.04])
    assert holm([0.03, 0.01, math.nan, 0.4, 0.02])[3:] == pytest.approx([0.4, 0.06])
    assert math.isnan(holm([0.03, math.nan])[1])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
