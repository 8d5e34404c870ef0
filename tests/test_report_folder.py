"""``tsmtl-report``: a page of a run, a sweep or a comparison, and one line for anything else."""

import csv
import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.report.comparisons import NASTY, example
from tests.report.pages import read_page
from tests.report.runs import write_run
from tests.sweep.records import write_job


def of(header, rows):
    """Give a table of a page by the first cell of its rows, cells by the column's name."""
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def write_sweep(folder, alphas=(0.1, 0.5, 0.9), seeds=(0, 1)):
    for alpha in alphas:
        for seed in seeds:
            settings = {"alpha": alpha, "seed": seed, "lr": 1e-3}
            f1 = 0.5 + alpha / 4 + seed / 10
            test = {"cls": {"macro_f1": f1}, "reg": {"rmse": 10 * alpha + seed, "per_output": [1, 2]}}
            write_job(folder, f"alpha={alpha}-{seed}", settings, alpha + seed, test, ("alpha", "seed"))
    write_job(folder, "lost", {"alpha": 1.0, "seed": 0, "lr": 1e-3}, swept=("alpha", "seed"), reason=f"died of {NASTY}")
    return folder


def test_a_run_of_any_names_has_all_its_parts(tsmtl_report, tmp_path):
    answer = tsmtl_report(str(write_run(tmp_path / "a=b <run>")))
    assert (answer.code, answer.err) == (0, "")
    place = tmp_path / "a=b <run>" / "report.html"
    assert answer.out == f"{place}\n"
    page = read_page(place)
    metrics, details, *_ = page.tables
    assert metrics[1:] == [
        ["state", NASTY, "accuracy", "0.9", ""],
        ["state", NASTY, "macro_f1", "0.8", "0.5"],
        ["wear", "wear", "rmse (<mm>)", "1", "2.667"],
        ["wear", "wear", "r2", "not defined", ""],
    ]
    assert details == [["", "f1"], [NASTY, "0.8"], ["ok", "0.8"]]
    assert page.tags.isdisjoint({"b", "mm", "run", "script"})
    text = place.read_text()
    for title in ("Curves", "Predictions for", "Do the tasks pull", "Calibration", "Data", "Settings", "Versions"):
        assert f"<h2>{title}" in text
    assert "<dt>model</dt><dd>gru</dd>" in text
    assert "<dt>lr</dt><dd>0.001</dd>" in text
    assert "<dt>state.temperature</dt><dd>1.25</dd>" in text


def test_the_pictures_of_a_run_say_their_numbers(tsmtl_report, tmp_path):
    tsmtl_report(str(write_run(tmp_path / "run")))
    said = read_page(tmp_path / "run" / "report.html").says
    assert len(said) == 15  # 5 curves, 2 pictures of each task, 6 of the conflict
    assert said[0] == "all tasks, loss over 3 epochs: train from 1 to 0.3333; val from 1 to 0.3333; best epoch 3"
    # Of 60 instances the first has no class; of the odd ones the third is taken for the even ones' class.
    assert f"58 of 59 right: {NASTY} 29 of 29, ok 29 of 30; most often mistaken: ok for {NASTY}, 1 times" in said[5]
    # Of 30 with a confidence of 0.8 one is wrong, of 29 with 0.7 none: (30 |29/30 - 0.8| + 29 |1 - 0.7|) / 59.
    assert "mean confidence 0.751, right 0.983 of 59 instances, calibration error 0.232" in said[6]
    assert said[7].startswith("predicted against true: wear (wear), 59 test instances: RMSE ")
    assert "intervals hold 9" in said[7]
    assert said[9] == "agreement of the tasks' gradients, cosine, mean over the epochs: state-wear +0.5; best epoch 3"
    assert "a -0.5" in said[10]
    batches, ratio, share, affinity = said[11:]
    assert batches == "batches whose gradients conflict, share, mean over the epochs: state-wear +0.375; best epoch 3"
    assert "ratio of the norms, median over the epochs: state-wear +2.5" in ratio
    assert "state +0.6; wear +0.4" in share
    assert "state-to-wear +0.0005; wear-to-state -0.004" in affinity


def test_labels_best_epochs_and_readings_have_their_parts(tsmtl_report, tmp_path):
    folder = write_run(tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    summary["tasks"]["alarms"] = {"name": "alarms", "kind": "multilabel", "key": "alarms", "size": 2, "unit": None}
    per_label = {NASTY: {"f1": 0.5, "precision": 0.4, "recall": 1.0, "support": 3}}
    per_label["hot"] = {"f1": None, "precision": None, "recall": 0.0, "support": 1}
    summary["test"]["alarms"] = {"macro_f1": 0.5, "auroc": None, "per_label": per_label}
    summary["conflict"] = {"probe": {"instances": 64}, "reading": [f"state helps {NASTY}"]}
    best = {"epoch": 2, "score": 0.6, "test": summary["test"]}
    summary["best_per_task"] = {
        "state": {**best, "monitor": "val/state/macro_f1", "checkpoint": "best_state.pt"},
        "wear": {**best, "monitor": "val/wear/rmse", "checkpoint": "best_wear.pt"},
        "alarms": {**best, "monitor": "val/alarms/auroc", "checkpoint": "best_alarms.pt"},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    answer = tsmtl_report(str(folder))
    assert (answer.code, answer.err) == (0, "")
    page = read_page(folder / "report.html")
    labels = [[NASTY, "0.5", "0.4", "1", "3"], ["hot", "", "", "0", "1"]]
    assert [["", "f1", "precision", "recall", "support"], *labels] in page.tables
    assert [
        ["best epoch by", "epoch", "state macro_f1", "wear rmse (<mm>)", "alarms auroc", "checkpoint"],
        ["val/loss", "3", "0.8", "1", "not defined", "best_model.pt"],
        ["val/state/macro_f1", "2", "0.8", "1", "not defined", "best_state.pt"],
        ["val/wear/rmse", "2", "0.8", "1", "not defined", "best_wear.pt"],
        ["val/alarms/auroc", "2", "0.8", "1", "not defined", "best_alarms.pt"],
    ] in page.tables
    assert f"alarms (alarms), F1 of each label on test: {NASTY} 0.5" in page.says
    assert "<li>state helps &lt;b&gt;" in (folder / "report.html").read_text()


def test_numbers_none_of_which_is_finite_have_no_pictures(tsmtl_report, tmp_path):
    folder = write_run(tmp_path / "run")
    header, *rows = list(csv.reader((folder / "predictions_test.csv").read_text().splitlines()))
    with (folder / "predictions_test.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *([*row[:-3], "nan", "nan", "nan"] for row in rows)])
    answer = tsmtl_report(str(folder))
    assert (answer.code, answer.err) == (0, "")
    said = read_page(folder / "report.html").says
    assert len(said) == 13
    assert not [line for line in said if line.startswith(("predicted against true", "residuals"))]


def test_a_run_that_is_not_finished_has_its_curves(tsmtl_report, tmp_path):
    folder = write_run(tmp_path / "run", finished=False)
    with (folder / "metrics.csv").open("a") as file:
        file.write("4,0.2")  # a process is at it
    answer = tsmtl_report(str(folder))
    assert (answer.code, answer.err) == (0, "")
    assert len(read_page(folder / "report.html").says) == 11
    assert "This run is not finished: 3 epochs are on disk." in (folder / "report.html").read_text()


def test_a_sweep_has_every_job_and_the_frontier_of_its_tasks(tsmtl_report, tmp_path):
    answer = tsmtl_report(str(write_sweep(tmp_path / "sweep")), "output=page.html")
    assert (answer.code, answer.err) == (0, "")
    page = read_page(tmp_path / "page.html")
    jobs, seeds = page.tables[:2]
    found = of(jobs[0], jobs[1:])
    assert len(found) == 7
    assert found["alpha=0.5-1"]["score"] == "1.5"
    assert found["lost"]["reason"] == f"died of {NASTY}"
    assert list(of(seeds[0], seeds[1:])) == ["0.1", "0.5", "0.9"]
    text = (tmp_path / "page.html").read_text()
    assert "7 jobs: 6 done, 1 failed. They differ in alpha, seed." in text
    assert "Best: alpha=0.1, val/loss 0.6, mean of 2 seeds." in text
    score, test = page.says  # val has the metric of one task alone
    assert score == "val/loss of 6 jobs, 0.1 to 1.9, best settings 0.6, against alpha: best at 0.1"
    # Over the seeds 0 and 1 a half is added to the rmse, 0.05 to the macro-F1.
    assert test.startswith("cls macro_f1 and reg rmse on test, mean over seeds, 3 settings, 3 not dominated: ")
    assert "alpha=0.5 cls 0.675 and reg 5.5" in test


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("weighting.name", [{"weighting": {"name": n}} for n in range(3)]),
        ("tasks.1.weight", [{"tasks": [{"weight": 1}, {"weight": n}]} for n in range(3)]),
    ],
)
def test_settings_that_another_beats_in_all_tasks_are_not_on_the_frontier(tsmtl_report, tmp_path, key, settings):
    for n, (f1, rmse) in enumerate([(0.9, 5.0), (0.8, 6.0), (0.95, 9.0)]):
        test = {"cls": {"macro_f1": f1}, "reg": {"rmse": rmse}}
        write_job(tmp_path / "sweep", f"j{n}", settings[n], 1.0, test, typed=[key])
    assert tsmtl_report("sweep").code == 0
    said = read_page(tmp_path / "sweep" / "report.html").says[-1]
    assert f"3 settings, 2 not dominated: {key}=0 cls 0.9 and reg 5; {key}=2 " in said


@pytest.mark.parametrize(
    ("monitor", "kind", "said"),
    [
        (
            "val/loss",
            "open",
            "val/loss does not compare the jobs: alpha changes the loss itself; trainer.monitor=joint does",
        ),
        ("val/reg/rmse", "good", "Best: alpha=0.2, val/reg/rmse 0.2."),
    ],
)
def test_a_best_is_named_only_where_the_score_compares_the_jobs(tsmtl_report, compose, tmp_path, monitor, kind, said):
    for alpha in (0.2, 0.8):
        flat = dict(compose(f"alpha={alpha}", f"trainer.monitor={monitor}").flat)
        write_job(tmp_path / "sweep", f"a{alpha}", flat, alpha, swept=("alpha",), monitor=monitor)
    assert tsmtl_report("sweep").code == 0
    text = (tmp_path / "sweep" / "report.html").read_text()
    assert f'<p class="{kind}">{said}</p>' in text
    assert ("The score against each setting" in text) == (kind == "good")


def test_a_comparison_is_told_by_its_file(tsmtl_report, tmp_path):
    (tmp_path / "comparison.json").write_text(json.dumps(example()))
    write_sweep(tmp_path / "runs")
    assert tsmtl_report(".").code == 0
    assert "Do the tasks help each other?" in (tmp_path / "report.html").read_text()


def test_the_same_folder_makes_the_same_bytes(tsmtl_report, tmp_path):
    write_run(tmp_path / "run")
    write_sweep(tmp_path / "sweep")
    for folder in ("run", "sweep"):
        for name in ("a.html", "b.html"):
            tsmtl_report(folder, f"output={name}")
        assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "DIR: name one folder of a run, a sweep or a comparison (got none); the other word is output="),
        (["a", "b"], "DIR: name one folder of a run, a sweep or a comparison (got a, b); the other word is output="),
        (["gone"], "DIR: there is no folder gone"),
        (["-m", "run"], "-m: unknown flag; --help shows what there is"),
        (["run", "output=p.txt"], "output: must be a file that ends in .html, .htm (got 'p.txt')"),
        (["run", "output=nowhere/p.html"], "output: there is no folder nowhere"),
        (["run", "output="], "output: must be text or null (got '')"),
        (["empty"], "DIR: empty is no folder of a run (config.yaml beside metrics.csv or summary.json), of a sweep "),
        (["damaged"], "damaged/summary.json: damaged: "),
        (["strange"], "strange: not the folder of a run, or damaged: "),
        (["half"], "half/comparison.json: damaged: lacks 'level'; the command of the comparison writes it anew"),
        (["list"], "list/comparison.json: damaged: holds no names and values; make it anew"),
        (["odd"], "odd/comparison.json: damaged: "),
        (["future"], "future/comparison.json: has format 9, this version of tsmtl reads 1; "),
    ],
)
def test_anything_else_is_refused_with_one_line(tsmtl_report, tmp_path, words, said):
    for name in ("run", "empty", "damaged", "strange", "future", "half", "list", "odd"):
        (tmp_path / name).mkdir()
    for name in ("damaged", "strange"):
        (tmp_path / name / "config.yaml").write_text("- a list")
    (tmp_path / "damaged" / "summary.json").write_text("{")
    (tmp_path / "strange" / "metrics.csv").write_text("epoch\nfirst")
    (tmp_path / "future" / "comparison.json").write_text('{"format": 9}')
    (tmp_path / "half" / "comparison.json").write_text('{"format": 1}')
    (tmp_path / "list" / "comparison.json").write_text("[]")
    (tmp_path / "odd" / "comparison.json").write_text(json.dumps(example() | {"figures": [3]}))
    answer = tsmtl_report(*words)
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert answer.lines[0].startswith(f"tsmtl-report: {said}")
    assert not list(tmp_path.rglob("*.html"))


def test_a_real_run_is_reported_without_torch(tsmtl_train, tmp_path):
    answer = tsmtl_train("model=gru", "hidden_size=2", "num_epochs=1", "device=cpu", "hydra.run.dir=run")
    assert answer.code == 0, answer.err
    program = "import sys; from tsmtl.report_folder import cli; cli(); assert 'torch' not in sys.modules, 'torch'"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, "run"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    page = read_page(tmp_path / "run" / "report.html")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert page.tables[0][1] == [
        "cls",
        "fault",
        "accuracy",
        *(f"{v:.4g}" for v in (summary["test"]["cls"]["accuracy"], summary["val"]["val/cls/accuracy"])),
    ]
    assert len(page.says) == 9


def test_many_instances_become_one_image_and_the_page_says_so(tsmtl_report, tmp_path):
    folder = write_run(tmp_path / "run", n=20_000)
    assert tsmtl_report(str(folder)).code == 0
    text = (folder / "report.html").read_text()
    assert "all 19,999 instances, as one image" in text
    assert len(text) < 1_000_000
