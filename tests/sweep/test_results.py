"""Tables of a sweep against counts by hand."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.sweep.records import write_job
from tsmtl.sweep.results import results_of
from tsmtl.sweep.statistics import Sum, holm, spread, with_both
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


def test_a_file_of_settings_that_has_changed_between_two_sweeps_makes_columns_and_no_more_seeds(tmp_path):
    for seed in (0, 1):
        for name, epochs in (("a", 5), ("b", 9)):
            settings = {"seed": seed, "num_epochs": epochs, "trainer": {"keep": "best", "pictures": name == "a"}}
            write_job(tmp_path, f"{name}{seed}", settings, epochs / 10, swept=("seed",), typed=["experiment", "seed"])
    assert [(dict(values), s["score"].n) for values, s in results_of(tmp_path).over_seeds] == [
        ({"num_epochs": "5"}, 2),
        ({"num_epochs": "9"}, 2),
    ]


def test_other_data_under_the_same_settings_is_told_apart_and_not_averaged(tmp_path):
    for seed in (0, 1):
        write_job(tmp_path, f"a{seed}", {"seed": seed}, 0.5, swept=("seed",), data="a" * 64)
        write_job(tmp_path, f"b{seed}", {"seed": seed}, 0.7, swept=("seed",), data="b" * 64, start="c" * 64)
    results = results_of(tmp_path)
    assert [values for values, _ in results.over_seeds] == [
        {"data sha256": "aaaaaaaa"},
        {"data sha256": "bbbbbbbb+cccccccc"},
    ]


@pytest.mark.parametrize("noise", [0.3, 0.5])
def test_other_data_of_more_seeds_is_not_averaged_unless_their_settings_asked_for_it(tmp_path, noise):
    for seed, digest in enumerate("aabb"):
        data = {"noise": 0.3 if digest == "a" else noise}
        write_job(tmp_path, f"{seed}", {"seed": seed, "data": data}, 0.5, swept=("seed",), data=digest * 64)
    write_job(tmp_path, "lost", {"seed": 9, "data": {"noise": 0.3}}, swept=("seed",), data=None)
    apart = [{"data sha256": "aaaaaaaa"}, {"data sha256": "bbbbbbbb"}]
    assert [values for values, _ in results_of(tmp_path).over_seeds] == (apart if noise == 0.3 else [{}])


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
        assert found.p == pytest.approx(student.pvalue)
        low, high = student.confidence_interval(0.95)
        assert found.half == pytest.approx((high - low) / 2)
    found = with_both([0.5, 0.5 + 1e-12], 0.2, 10**6)
    assert found.p == pytest.approx(2 * stats.norm.sf(2.5), rel=1e-4)
    assert with_both([0.0, 0.0], 0.0, 10).p == 1.0
    assert all(math.isnan(with_both(*given).p) for given in (([0.5, 0.5], 0.0, 10), ([1.0], 0.1, 10)))


def test_the_interval_of_both_is_banerjees_and_p_is_where_it_ends_at_zero():
    # By hand: errors 0.1 (5 repetitions) and 0.2 (11 instances), quantiles of t 2.776 and 2.228.
    found = Sum(0.5, (0.1, 0.2), (4, 10))
    assert found.half == pytest.approx(math.hypot(2.7764 * 0.1, 2.2281 * 0.2), rel=1e-4)
    for mean in (0.01, 0.3, found.half, 2.0):
        p = Sum(mean, (0.1, 0.2), (4, 10)).p
        ends = math.hypot(*(stats.t.ppf(1 - p / 2, df) * e for e, df in ((0.1, 4), (0.2, 10))))
        assert ends == pytest.approx(mean, rel=1e-6)
    assert Sum(found.half, (0.1, 0.2), (4, 10)).p == pytest.approx(0.05)


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("ratio", [0.02, 0.1, 0.5, 2.0])
def test_false_alarms_are_no_more_than_is_said(n, ratio):
    """Differences of chance alone: of seeds, and of instances with ``ratio`` times the variance of the seeds' mean."""
    rng, draws = np.random.default_rng(n), 2000
    instances = rng.normal(scale=math.sqrt(ratio), size=(draws, 1))
    pairs = instances + rng.normal(scale=math.sqrt(n), size=(draws, n))
    known = np.sqrt(ratio * rng.chisquare(99, size=draws) / 99)
    found = [with_both(values.tolist(), sd, 100) for values, sd in zip(pairs, known, strict=True)]
    for level in (0.05, 0.05 / 6):  # of one test, and of the smallest of six
        ends = [f.reach(1 - level / 2) for f in found]
        share = np.mean([abs(f.mean) > end for f, end in zip(found, ends, strict=True)])
        assert share < level + 3 * math.sqrt(level / draws)  # three standard errors of the simulation


def test_an_interval_of_both_is_never_narrower_than_that_of_the_repetitions():
    rng = np.random.default_rng(0)
    for n in (2, 3, 5, 10):
        values = rng.normal(size=n).tolist()
        alone = spread(values)
        for sd in (1e-3, 0.1, 1.0):
            assert with_both(values, sd, 20).half > (alone.high - alone.low) / 2


def test_what_a_test_would_detect_is_detected_four_times_of_five():
    known = with_both([0.0, 1e-9], 1.0, 10**6)
    assert known.detectable(1) == pytest.approx(stats.norm.ppf(0.975) + stats.norm.ppf(0.8), rel=1e-4)
    assert known.detectable(6) == pytest.approx(stats.norm.ppf(1 - 0.025 / 6) + stats.norm.ppf(0.8), rel=1e-4)
    rng, draws = np.random.default_rng(1), 2000
    gain = Sum(0.0, (1 / math.sqrt(5), 0.3), (4, 199)).detectable(1)
    pairs = gain + rng.normal(scale=0.3, size=(draws, 1)) + rng.normal(size=(draws, 5))
    found = [with_both(values.tolist(), 0.3, 200) for values in pairs]
    assert np.mean([abs(f.mean) > f.half for f in found]) == pytest.approx(0.8, abs=0.06)


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.4: times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.4.
    assert holm([0.03, 0.01, math.nan, 0.4, 0.02])[:2] == pytest.approx([0.06, 0.04])
    assert holm([0.03, 0.01, math.nan, 0.4, 0.02])[3:] == pytest.approx([0.4, 0.06])
    assert math.isnan(holm([0.03, math.nan])[1])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
