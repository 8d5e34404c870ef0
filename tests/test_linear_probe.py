"""What a run on vectors says of a linear model on them, and their picture."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import log_loss

from tests.trained import table_of
from tsmtl.config import trainer_rules

RUN = ["model=fc", "hidden_sizes=[8]", "num_epochs=2", "batch_size=32", "lr=0.01", "device=cpu", "hydra.run.dir=run"]


@pytest.fixture
def content(tmp_path):
    """Vectors with a linear number and three classes; some labels are missing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 10)).astype(np.float32)
    y = x @ rng.normal(size=(10, 3))
    names = np.array(["a", "b", "c"])[y.argmax(axis=1)]
    number = y[:, 0] + 0.1 * rng.normal(size=150)
    names[::11], number[::13] = "", np.nan
    found = {"X": x, "y_cls": names, "y_reg": number, "part": np.repeat(["train", "val", "test"], 50)}
    np.savez(tmp_path / "v.npz", **found)
    return found


DATA = ["data=npz", "data.path=v.npz", "data.split_key=part", "data.scale=none", "data.scale_target=none"]


def test_the_linear_model_is_a_ridge_regression_chosen_on_val(content, tsmtl_train, tmp_path):
    answer = tsmtl_train(*DATA, *RUN)
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "run" / "summary.json").read_text())["linear_probe"]
    x, y, part = content["X"].astype(float), content["y_reg"], content["part"]
    known = ~np.isnan(y)
    train, val, test = ((part == name) & known for name in ("train", "val", "test"))
    errors = {}
    for power in range(-3, 7):
        model = Ridge(alpha=10.0**power).fit(x[train], y[train])
        errors[10.0**power] = np.mean((model.predict(x[val]) - y[val]) ** 2)
    best = min(errors, key=lambda alpha: errors[alpha])
    assert found["reg"]["alpha"] == best
    assert found["reg"]["instances"] == train.sum()
    expected = Ridge(alpha=best).fit(x[train], y[train]).predict(x[test])
    assert found["reg"]["rmse"] == pytest.approx(np.sqrt(np.mean((expected - y[test]) ** 2)), rel=1e-4)
    named = content["y_cls"] != ""
    train, test = ((part == name) & named for name in ("train", "test"))
    classes = RidgeClassifier(alpha=found["cls"]["alpha"]).fit(x[train], content["y_cls"][train])
    assert found["cls"]["accuracy"] == pytest.approx(classes.score(x[test], content["y_cls"][test]))
    (line,) = [line for line in answer.out.splitlines() if line.startswith("reg  rmse")]
    assert line.split()[-2:] == ["ridge", f"{found['reg']['rmse']:.4g}"]
    assert "logistic" not in answer.out


@pytest.mark.parametrize("features", [10, 200], ids=["long", "wide"])
def test_the_logistic_regression_is_that_of_scikit_learn_chosen_on_val(content, tsmtl_train, tmp_path, features):
    rng = np.random.default_rng(1)
    x = np.concatenate([content["X"], rng.normal(size=(150, features - 10)).astype(np.float32)], axis=1)
    np.savez("v.npz", **content | {"X": x})
    answer = tsmtl_train(*DATA, *RUN, "trainer.logistic_probe=true")
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "run" / "summary.json").read_text())["logistic_probe"]
    assert list(found) == ["cls"]
    named = content["y_cls"] != ""
    train, val, test = ((content["part"] == name) & named for name in ("train", "val", "test"))
    scores = {}
    for power in range(-4, 5):
        model = LogisticRegression(C=10.0**power, max_iter=10_000, tol=1e-8).fit(x[train], content["y_cls"][train])
        loss = log_loss(content["y_cls"][val], model.predict_proba(x[val]))
        scores[10.0**power] = 1 - model.score(x[val], content["y_cls"][val]), loss, model
    best = min(scores, key=lambda c: scores[c][:2])
    assert found["cls"]["C"] == best
    assert found["cls"]["instances"] == train.sum()
    assert found["cls"]["accuracy"] == pytest.approx(scores[best][2].score(x[test], content["y_cls"][test]))
    (line,) = [line for line in answer.out.splitlines() if line.startswith("cls  macro_f1")]
    assert line.split()[-2:] == ["logistic", f"{found['cls']['macro_f1']:.4g}"]
    (line,) = [line for line in answer.out.splitlines() if line.startswith("reg  rmse")]
    assert "logistic" not in line


def test_test_labels_do_not_choose_the_penalty(content, tsmtl_train, tmp_path):
    chosen = []
    for turn in range(2):
        names = content["y_cls"].copy()
        last = content["part"] == "test"
        names[last] = np.roll(names[last], turn)
        np.savez("v.npz", **content | {"y_cls": names})
        assert tsmtl_train(*DATA, *RUN, "trainer.logistic_probe=true").code == 0
        summary = json.loads((tmp_path / "run" / "summary.json").read_text())
        chosen.append((summary["linear_probe"]["cls"]["alpha"], summary["logistic_probe"]["cls"]["C"]))
    assert chosen[0] == chosen[1]


def test_neighbours_of_classes_lie_together(content, pictures, tsmtl_train, tsmtl_report, tmp_path):
    x = content["X"] + 20 * (content["y_cls"] == "a")[:, None]
    np.savez("v.npz", **content | {"X": x.astype(np.float32)})
    answer = tsmtl_train(*DATA, *RUN, "trainer.vectors_picture=tsne")
    assert answer.code == 0, answer.err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["vectors_picture"] == "tsne"
    table = table_of(tmp_path / "run" / "vectors_2d.csv")
    places = np.array([table["first"], table["second"]], float).T
    is_a = content["y_cls"][content["part"] == "test"] == "a"
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (is_a[distances.argmin(axis=1)] == is_a).mean() > 0.95
    assert (tmp_path / "run" / "vectors.png").stat().st_size > 5000
    assert tsmtl_report("run").code == 0
    assert "t-SNE, first dimension" in (tmp_path / "run" / "report.html").read_text()


ALIKE = np.where(np.arange(150)[:, None] < 100, np.random.default_rng(0).normal(size=(150, 3)), 1.0)  # in test


@pytest.mark.parametrize(
    ("x", "probed"), [(np.arange(150.0)[:, None], {"cls"}), (np.ones((150, 3)), set()), (ALIKE, {"cls"})]
)
def test_vectors_of_one_direction_or_none_have_a_picture_all_the_same(content, tsmtl_train, tmp_path, x, probed):
    np.savez("v.npz", **content | {"X": x.astype(np.float32)})
    answer = tsmtl_train(*DATA, *RUN, "trainer.vectors_picture=tsne", "trainer.logistic_probe=true")
    assert answer.code == 0, answer.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["vectors_picture"] == "pca"
    assert set(summary["logistic_probe"]) == probed


def test_what_is_made_of_vectors_needs_them_and_scikit_learn(content, tsmtl_train, monkeypatch):
    asked = ["trainer.logistic_probe=true", "trainer.vectors_picture=tsne"]
    answer = tsmtl_train("model=gru", *asked)
    assert answer.lines == [
        f"tsmtl-train: trainer.{key}: is made of vectors, which model=fc reads; model=gru reads series"
        for key in ("logistic_probe", "vectors_picture")
    ]
    find = trainer_rules.find_spec
    monkeypatch.setattr(trainer_rules, "find_spec", lambda name: None if name == "sklearn" else find(name))
    answer = tsmtl_train(*DATA, *RUN, *asked)
    assert answer.lines == [
        f"tsmtl-train: trainer.{key}: needs scikit-learn: pip install scikit-learn"
        for key in ("logistic_probe", "vectors_picture")
    ]


def test_the_vectors_are_drawn_and_on_the_page(content, pictures, tsmtl_train, tsmtl_report, tmp_path):
    assert tsmtl_train(*DATA, *RUN).code == 0
    assert (tmp_path / "run" / "vectors.png").stat().st_size > 5000
    table = table_of(tmp_path / "run" / "vectors_2d.csv")
    assert table["instance"] == table_of(tmp_path / "run" / "predictions_test.csv")["instance"]
    train, test = (content["X"][content["part"] == name].astype(float) for name in ("train", "test"))
    centred = train - train.mean(axis=0)
    _, _, directions = np.linalg.svd(centred)
    expected = np.abs((test - train.mean(axis=0)) @ directions[:2].T)
    found = np.abs(np.array([table["first"], table["second"]], float).T)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert tsmtl_report("run").code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "50 test vectors in two dimensions, coloured by cls (y_cls)" in page
    assert "50 test vectors in two dimensions, coloured by reg (y_reg)" in page
    assert "Beside linear models of the same vectors" in page


def test_a_run_on_series_has_none(tsmtl_train, tmp_path):
    small = ["model=gru", "hidden_size=4", "data.n_instances=40", "num_epochs=1", "device=cpu", "hydra.run.dir=run"]
    answer = tsmtl_train(*small)
    assert answer.code == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["linear_probe"] is None
    assert "ridge" not in answer.out
    assert not (tmp_path / "run" / "vectors_2d.csv").exists()


def test_labels_have_no_linear_model(content, tsmtl_train, tmp_path):
    np.savez("v.npz", **content, wet=(content["X"][:, 0] > 0).astype(int), hot=(content["X"][:, 1] > 0).astype(int))
    tasks = "tasks=[{name: flags, kind: multilabel, target: [wet, hot]}, {name: n, kind: reg, target: y_reg}]"
    answer = tsmtl_train(*DATA, "task=custom", tasks, *RUN)
    assert answer.code == 0, answer.err
    assert list(json.loads((tmp_path / "run" / "summary.json").read_text())["linear_probe"]) == ["n"]
