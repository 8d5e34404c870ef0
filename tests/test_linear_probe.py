"""What a run on vectors says of a linear model on them, and their picture."""

import json

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeClassifier

from tests.trained import table_of

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
    assert "Beside a ridge regression on the same vectors" in page


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
