"""``tsmtl-compare`` from the command line: what it trains and writes, and how it goes on."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest

import tsmtl.compare
from tests.jobs_here import JobsHere
from tsmtl.comparison.conclusion import _draw as draw_comparison
from tsmtl.sweep.statistics import spread

TINY = ["model=cnn1d", "output_channels=4", "data.n_instances=80", "data.n_classes=2", "num_epochs=2", "device=cpu"]
TINY += ["hydra.launcher.n_jobs=1"]  # a process of a sweep takes longer to start than to train
SMALL = [*TINY, "compare.seeds=2", "compare.lr_factors=[1,10]", "compare.epoch_factors=[1]", "batch_size=32"]
ALL = ["compare.variants=[multi,transfer,control]", "compare.alphas=[0.2,0.5]", "compare.weightings=[bisector]"]
ALL += ["compare.budget_task=cls", "compare.label_shares=[0.5,1]"]


@pytest.fixture(scope="module", autouse=True)
def _few_draws():
    """Resample test instances less often, which takes longer than the trainings; test_bootstrap.py has intervals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tsmtl.comparison.bootstrap.DRAWS", 100)
        patch.setattr("tsmtl.comparison.bootstrap.LEAST_DRAWS", 100)
        yield


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Everything there is to compare, in the folder ``all``."""
    folder, out = tmp_path_factory.mktemp("compared"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(io.StringIO()) as err:
        patch.chdir(folder)
        patch.setattr("tsmtl.sweep.runners.Pool", JobsHere)
        patch.setattr("tsmtl.run.draw_run", lambda *given: None)
        patch.setattr(sys, "argv", ["tsmtl-compare", *SMALL, *ALL, "compare.folder=all"])
        tsmtl.compare.cli()
    assert (folder / "all" / "comparison.json").exists(), err.getvalue()
    return folder / "all", out.getvalue()


def record_of(folder):
    return json.loads((folder / "comparison.json").read_text())


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def summary_of(folder, run):
    return json.loads((folder / run["folder"] / "summary.json").read_text())


def settings_of(folder, run):
    return json.loads((folder / run["folder"] / "job.json").read_text())["settings"]


def test_every_variant_has_the_same_search_and_the_same_seeds(compared):
    folder, _ = compared
    rows = rows_of(folder / "results.csv")
    names = dict.fromkeys(row["variant"] for row in rows)
    assert list(names) == [
        *("single_cls", "single_reg", "multi", "control_cls", "control_reg", "alpha_0.2", "alpha_0.5"),
        *("weighting_bisector", "budget_0.5_single_cls", "budget_0.5_multi", "budget_1_single_cls", "budget_1_multi"),
        *("cls_to_multi", "reg_to_multi"),
    ]
    for name in names:
        own = [row for row in rows if row["variant"] == name]
        assert [(row["lr"], row["seed"]) for row in own if row["stage"] == "search"] == [
            ("0.0001", "0"),
            ("0.001", "0"),
        ]
        best = max((row for row in own if row["stage"] == "search"), key=lambda row: float(row["val/joint"]))
        again = [row for row in own if row["stage"] == "repetition"]
        assert [(row["lr"], row["seed"]) for row in again] == [(best["lr"], "0"), (best["lr"], "1")]
        assert again[0]["folder"] == best["folder"], "the search has trained it"


def test_nothing_is_trained_twice(compared):
    folder, _ = compared
    rows = rows_of(folder / "results.csv")
    folders = {row["folder"] for row in rows}
    assert {str(path.relative_to(folder)) for path in (folder / "runs").iterdir()} == folders
    same = [("multi", "alpha_0.5"), ("multi", "budget_1_multi"), ("single_cls", "budget_1_single_cls")]
    for one, other in same:
        assert {r["folder"] for r in rows if r["variant"] == one} == {
            r["folder"] for r in rows if r["variant"] == other
        }
    # 12 variants from scratch, 3 of them the same as others, and 2 transfers: 2 searched, 1 of the other seed.
    assert len(folders) == 3 * (12 + 2 - 3)


def test_twins_share_all_settings_but_the_task(compared):
    folder, _ = compared
    runs = {(run["variant"], run["seed"]): run for run in record_of(folder)["runs"]}
    multi, single = (settings_of(folder, runs[name, 1]) for name in ("multi", "single_reg"))
    differing = {k for k in multi.keys() | single.keys() if multi.get(k) != single.get(k)}
    assert differing <= {"task", "alpha", "num_classes", "num_classes_1", "num_classes_2", "lr", "data"}
    assert single["data"] == multi["data"] | {
        "split_targets": [{"kind": "cls", "target": []}, {"kind": "reg", "target": []}]
    }
    control = settings_of(folder, runs["control_reg", 1])
    assert (control["data"]["shuffled_labels"], control["trainer"]["joint_weights"]) == (["cls"], {"cls": 0})
    assert [settings_of(folder, runs["control_reg", seed])["data"]["label_seed"] for seed in (0, 1)] == [0, 1]
    fewer = settings_of(folder, runs["budget_0.5_single_cls", 0])["data"]
    assert fewer == single["data"] | {"label_share": {"cls": 0.5}}
    for seed in (0, 1):
        start = settings_of(folder, runs["reg_to_multi", seed])["pretrained_path"]
        assert start == f"all/{runs['single_reg', seed]['folder']}/best_model.pt"


def test_twins_are_trained_and_tested_on_the_same_instances(compared):
    folder, _ = compared
    runs = {(run["variant"], run["seed"]): run for run in record_of(folder)["runs"]}
    tested = {
        n: [row["instance"] for row in rows_of(folder / run["folder"] / "predictions_test.csv")]
        for n, run in runs.items()
    }
    assert len({tuple(rows) for rows in tested.values()}) == 1
    counts = {tuple(summary_of(folder, run)["instances"].items()) for run in runs.values()}
    assert len(counts) == 1


def test_figures_and_differences_are_those_of_the_runs(compared):
    folder, _ = compared
    record = record_of(folder)
    found = {}
    for run in record["runs"]:
        test = summary_of(folder, run)["test"]
        found.setdefault(run["variant"], []).append(test)
        assert run["metrics"]["test/" + next(iter(test)) + "/" + next(iter(test[next(iter(test))]))] is not None
    for figure in record["figures"]:
        task, metric = figure["task"], figure["metric"]
        values = [test[task][metric] for test in found[figure["variant"]]]
        assert figure["mean"] == pytest.approx(np.mean(values))
        difference = figure["difference"]
        if difference is None:
            assert "single" in figure["variant"]
            continue
        twins = [test[task][metric] for test in found[difference["against"]]]
        sign = 1 if metric == "macro_f1" else -1
        pairs = spread([sign * (a - b) for a, b in zip(values, twins, strict=True)])
        assert [difference[k] for k in ("mean", "sd", "low", "high")] == pytest.approx(
            [pairs.mean, pairs.sd, pairs.low, pairs.high]
        )
        assert difference["relative"] == pytest.approx(100 * pairs.mean / np.mean(twins))
        assert difference["total_low"] <= difference["mean"] <= difference["total_high"]
        assert difference["total_high"] - difference["mean"] >= (difference["high"] - difference["mean"]) * 0.05
    gain = next(g for g in record["delta_m"] if g["variant"] == "multi")
    by_seed = [
        50 * (m["cls"]["macro_f1"] / c["cls"]["macro_f1"] - 1) + 50 * (1 - m["reg"]["rmse"] / r["reg"]["rmse"])
        for m, c, r in zip(found["multi"], found["single_cls"], found["single_reg"], strict=True)
    ]
    assert gain["mean"] == pytest.approx(np.mean(by_seed))


def test_the_frontier_and_the_budget_are_recorded(compared):
    folder, _ = compared
    record = record_of(folder)
    points = {p["variant"]: p["values"] for p in record["frontier"]}
    assert list(points) == ["multi", "alpha_0.2", "alpha_0.5", "weighting_bisector"]
    assert [p["alpha"] for p in record["frontier"]] == [0.5, 0.2, 0.5, None]
    for point in record["frontier"]:
        f1, rmse = point["values"]["cls"], point["values"]["reg"]
        beaten = any(
            p["cls"] >= f1 and p["reg"] <= rmse and (p["cls"], p["reg"]) != (f1, rmse) for p in points.values()
        )
        assert point["non_dominated"] is not beaten
    assert [(b["task"], b["share"]) for b in record["budget"]] == [("cls", 0.5), ("cls", 1)]
    assert [b["kept"] for b in record["budget"]] == [pytest.approx(0.5, abs=0.03), 1]  # half of each class, rounded up
    figures = {(f["variant"], f["task"]): f["mean"] for f in record["figures"]}
    assert record["budget"][0]["single"] == figures["budget_0.5_single_cls", "cls"]
    assert record["budget"][1]["multi"] == figures["multi", "cls"]


def test_the_terminal_and_the_files_say_the_same(compared):
    folder, out = compared
    record = record_of(folder)
    for task in ("cls", "reg"):
        assert f"{task}: {record['verdicts'][task]['sentence']}" in out
        assert record["verdicts"][task]["verdict"] in ("helps", "hurts", "cannot tell")
    names = [
        "comparison.json",
        "results.csv",
        "comparison.csv",
        "differences.png",
        "frontier.png",
        "budget.png",
        "comparison.html",
    ]
    for name in names:
        assert (folder / name).is_file()
        assert f"all/{name}" in out
    assert record["command"].startswith("tsmtl-compare model=cnn1d")
    table = rows_of(folder / "comparison.csv")
    assert [row["mean"] for row in table] == [str(f["mean"]) for f in record["figures"]]


def test_without_pictures_there_are_none_nor_those_of_an_earlier_comparison(compared, tmp_path):
    record = record_of(compared[0])
    drawn = draw_comparison(tmp_path, record, wanted=True)
    assert {tmp_path / name for name in drawn} == set(tmp_path.iterdir()) >= {tmp_path / "differences.png"}
    assert draw_comparison(tmp_path, record, wanted=False) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("jobs_here")
def test_the_same_command_goes_on_and_finds_all_done(compared, tsmtl_compare, monkeypatch):
    folder, _ = compared
    monkeypatch.chdir(folder.parent)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/summary.json")}
    record = record_of(folder)
    answer = tsmtl_compare(*SMALL, *ALL, "compare.folder=all")
    assert answer.code == 0
    assert "job 1 of" not in answer.err
    assert {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/summary.json")} == before
    assert record_of(folder) | {"process_seconds": 0} == record | {"process_seconds": 0}
    # More variants add runs and change none.
    answer = tsmtl_compare(*SMALL, *ALL[:1], "compare.alphas=[0.2,0.5,0.9]", "compare.folder=all")
    assert answer.code == 0
    after = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/summary.json")}
    assert len(after) == len(before) + 3
    assert before.items() <= after.items()


@pytest.mark.usefixtures("jobs_here")  # of the command that goes on; the one that is killed has processes
def test_a_killed_comparison_goes_on(tsmtl_compare, tmp_path):
    words = [*SMALL, "compare.lr_factors=[1]", "compare.variants=[multi]", "compare.folder=here"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tsmtl.compare", *words],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(done := list(tmp_path.glob("here/runs/*/summary.json"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in done}
    answer = tsmtl_compare(*words)
    assert answer.code == 0, answer.err
    assert {path: path.stat().st_mtime_ns for path in done} == before
    record = record_of(tmp_path / "here")
    assert [len([r for r in record["runs"] if r["variant"] == v]) for v in ("single_cls", "single_reg", "multi")] == [
        2
    ] * 3


@pytest.mark.slow
def test_two_classes_are_compared_like_any_two_tasks(tsmtl_compare, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4)).astype(np.float32)
    np.savez(tmp_path / "two.npz", X=x, one=(x[:, 0] > 0).astype(int), two=(x[:, 1] > 0).astype(int))
    words = ["data=npz", "data.path=two.npz", "data.class_target=one", "data.class_target_2=two"]
    words += ["data.regression_target=null", "model=fc", "hidden_sizes=[4]", *TINY[-3:], "compare.variants=[multi]"]
    answer = tsmtl_compare(*words, *SMALL[-4:-3], "compare.lr_factors=[1]", *SMALL[-2:], "compare.folder=here")
    assert answer.code == 0, answer.err
    record = record_of(tmp_path / "here")
    assert [(f["variant"], f["task"]) for f in record["figures"]][:3] == [
        ("single_cls", "cls"),
        ("single_cls_2", "cls_2"),
        ("multi", "cls"),
    ]
    runs = {(run["variant"], run["seed"]): run for run in record["runs"]}
    assert settings_of(tmp_path / "here", runs["single_cls_2", 0])["data"]["class_target"] == "two"
    assert set(record["verdicts"]) == {"cls", "cls_2"}
