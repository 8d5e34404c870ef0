"""``trainer.conflict`` in whole runs: what it leaves, that it changes nothing else, and that a run goes on exactly."""

import math

import pytest

from tests.test_devices import make_data
from tests.test_resume import assert_same, assert_same_run
from tests.test_train import TINY_MODEL, rows_of, summary_of
from tsmtl.checkpoint.last import read_last
from tsmtl.config.errors import UserError

BASE = ["device=cpu", "num_epochs=3", "batch_size=8", "lr=1e-2"]
DATA = ["data.n_instances=60", "data.test_fraction=0.3"]
FCN = ["model=lstm_fcn", *TINY_MODEL["lstm_fcn"], *BASE]
ON = "trainer.conflict=epoch"


@pytest.fixture
def always(monkeypatch):
    """Look after every epoch, however short it is."""
    monkeypatch.setattr("tsmtl.training.probe.SHARE", 10.0)


CASES = {
    "batch norm, dropout, a second look, augmented, averaged": [
        *(*FCN, *DATA, "weighting=famo", "trainer.weight_average=0.9", "data.augment=[{jitter:0.1},{mixup:0.2}]"),
    ],
    "gradients weighed, labels missing, unequal lengths": [
        *("model=gru", "hidden_size=4", "dropout=0.5", *BASE, "data=npz", "data.path=partly.npz"),
        *("weighting=pcgrad", "data.lengths_key=lengths"),
    ],
    "a class weighted, alpha": [
        *("model=cnn1d", *TINY_MODEL["cnn1d"], *BASE, *DATA, "alpha=0.2", "trainer.class_weights=balanced"),
    ],
}


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("name", CASES)
def test_a_run_is_the_same_to_the_last_bit_with_it_and_goes_on_exactly(tsmtl_train, tmp_path, stopped_at, name):
    make_data(tmp_path)
    for folder, more in (("on", [ON]), ("off", [])):
        answer = tsmtl_train(*CASES[name], *more, f"hydra.run.dir={folder}")
        assert answer.code == 0, answer.err
    on, off = (read_last(tmp_path / folder / "last.pt") for folder in ("on", "off"))
    rows = on["fit"]["history"]
    for row in rows:
        found = {key: row.pop(key) for key in list(row) if key.startswith("conflict/")}
        assert all(math.isfinite(value) for key, value in found.items() if key.endswith(("/cosine", "/norm_ratio")))
        assert found["conflict/share/cls"] + found["conflict/share/reg"] == pytest.approx(1)
    for state in (on, off):
        del state["settings"]
    assert_same(on, off)
    predictions = [(tmp_path / folder / "predictions_test.csv").read_bytes() for folder in ("on", "off")]
    assert predictions[0] == predictions[1]
    assert summary_of(tmp_path / "off")["conflict"] is None

    stopped_at(8)  # in the second epoch
    assert tsmtl_train(*CASES[name], ON, "hydra.run.dir=cut").code == 143
    assert tsmtl_train(*CASES[name], ON, "hydra.run.dir=cut", "resume=true").code == 0
    assert_same_run(tmp_path / "on", tmp_path / "cut")
    whole, cut = (summary_of(tmp_path / folder)["conflict"] for folder in ("on", "cut"))
    assert whole == cut
    assert whole["probe"]["looks"] == 3
    assert len(whole["reading"]) == 2


@pytest.mark.usefixtures("always", "pictures")
def test_rows_summary_picture_and_log_say_it(tsmtl_train, tmp_path):
    answer = tsmtl_train(*FCN, *DATA, ON, "alpha=0.3", "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    rows, summary = rows_of(tmp_path / "a/metrics.csv"), summary_of(tmp_path / "a")["conflict"]
    ratio, share = (float(rows[0][f"conflict/{name}"]) for name in ("cls-reg/norm_ratio", "share/cls"))
    assert share == pytest.approx(0.3 * ratio / (0.3 * ratio + 0.7), rel=1e-4)
    assert set(summary["pairs"]["cls-reg"]["blocks"]) == {"convs", "norms", "excites", "lstm"}
    cosines = [float(row["conflict/cls-reg/lstm/cosine"]) for row in rows]
    assert summary["pairs"]["cls-reg"]["blocks"]["lstm"]["cosine"] == pytest.approx(sum(cosines) / 3, rel=1e-4)
    for line in summary["reading"]:
        assert f"conflict: {line}" in answer.err
    assert (tmp_path / "a/conflict.png").stat().st_size > 10_000


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    "data",
    [
        [
            *("data=table", "data.path=plant.csv", "data.window=5", "data.entity=machine", "data.time=time"),
            *("data.class_target=state", "data.regression_target=wear"),
        ],
        ["data=npz", "data.path=arrays", "data.shuffle_block=10"],
    ],
    ids=["windows of a table", "a folder of arrays"],
)
def test_the_probe_is_read_of_any_kind_of_data(tsmtl_train, tmp_path, data):
    make_data(tmp_path)
    answer = tsmtl_train("model=gru", "hidden_size=4", *BASE, *data, ON, "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    assert summary_of(tmp_path / "a")["conflict"]["probe"]["instances"] >= 32


@pytest.mark.usefixtures("always")
def test_a_backbone_that_is_frozen_is_left_out_for_good_or_until_it_learns(tsmtl_train, tmp_path):
    assert tsmtl_train(*FCN, *DATA, "task=reg", "num_epochs=1", "best_model_path=first.pt").code == 0
    tune = [*FCN, *DATA, ON, "stage=finetune", "pretrained_path=first.pt"]
    answer = tsmtl_train(*tune, "freeze=true", "hydra.run.dir=frozen")
    assert answer.code == 0
    assert (
        "trainer.conflict: the backbone has nothing that learns, so that no gradients meet; not measured" in answer.err
    )
    assert summary_of(tmp_path / "frozen")["conflict"] is None
    assert tsmtl_train(*tune, "trainer.unfreeze_at=3", "hydra.run.dir=later").code == 0
    cosines = [float(row["conflict/cls-reg/cosine"]) for row in rows_of(tmp_path / "later/metrics.csv")]
    assert [math.isnan(value) for value in cosines] == [True, True, False]


def test_a_run_too_short_for_a_look_is_told_so(tsmtl_train, tmp_path):
    answer = tsmtl_train(*FCN, *DATA, ON, "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    assert (
        "trainer.conflict: a look takes as long as 94 epochs have time for, and there are 3: not measured" in answer.err
    )
    assert summary_of(tmp_path / "a")["conflict"] is None
    assert not any(column.startswith("conflict/") for column in rows_of(tmp_path / "a/metrics.csv")[0])
    assert not (tmp_path / "a/conflict.png").exists()


def test_one_task_is_refused_in_a_line_and_an_off_without_quotes_is_one(compose, tmp_path):
    with pytest.raises(UserError) as refusal:
        compose("model=gru", "task=cls", ON)
    assert refusal.value.lines == [
        "trainer.conflict: compares the gradients of tasks; task=cls has one; trainer.conflict=off goes with it"
    ]
    with pytest.raises(UserError) as refusal:
        compose("trainer.conflict=step")
    assert refusal.value.lines == ["trainer.conflict: must be one of off, epoch (got 'step')"]
    (tmp_path / "mine.yaml").write_text("trainer:\n  conflict: off\n")
    assert compose(f"experiment={tmp_path / 'mine.yaml'}").trainer.conflict == "off"
    assert compose("trainer.conflict=off").trainer.conflict == "off"
