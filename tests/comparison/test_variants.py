"""What the variants of a comparison are trained on, and their settings."""

from pathlib import Path

import numpy as np
import pytest

from tsmtl.comparison.variants import variants_of
from tsmtl.config.compare_settings import compare_settings
from tsmtl.config.schema import check
from tsmtl.data.loading import load_bundle


@pytest.mark.parametrize(
    "words",
    [
        ["data=synthetic", "model=cnn1d"],
        ["data=npz", "data.path=a.npz", "model=fc", "data.class_target_2=two", "data.regression_target=null"],
        ["data=npz", "data.path=a.npz", "model=fc", "data.group_key=g", "data.label_share={cls: 0.5, reg: 0.3}"],
        [
            *("data=npz", "data.path=a.npz", "model=fc", "task=custom"),
            "tasks=[{name: a, kind: reg, target: y_reg},{name: b, kind: cls, target: two},"
            "{name: c, kind: cls, target: y_cls}]",
        ],
        [
            *("data=table", "data.path=a.csv", "data.entity=m", "data.channels=[x]", "data.window=3", "model=cnn1d"),
            *("data.class_target=c", "data.regression_target=r", "output_channels=2", "kernel_size=3"),
        ],
    ],
    ids=["synthetic", "two classes", "groups", "custom", "table"],
)
def test_every_variant_has_the_splits_of_all_tasks(compose, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4)).astype(np.float32)
    labels = {"y_cls": rng.integers(0, 3, 120), "two": rng.integers(0, 2, 120), "y_reg": rng.normal(size=120)}
    np.savez("a.npz", X=x, g=np.repeat(np.arange(20), 6), **labels)
    rows = [f"{i // 12},{i % 12},{v:.3f},{'ab'[i % 5 % 2]},{i % 7}" for i, v in enumerate(x.ravel()[:240])]
    Path("a.csv").write_text("m,t,x,c,r\n" + "\n".join(rows) + "\n")
    training = compose(*words)
    own = {"seeds": 2, "variants": ["multi", "transfer", "control"], "alphas": [], "weightings": [], "folder": None}
    own |= {"budget_task": list(training.tasks)[1], "label_shares": [0.5], "lr_factors": [1.0], "epoch_factors": [1.0]}
    first, shares = None, {}
    for variant in variants_of(compare_settings(own), training):
        settings = check(dict(variant.flat) | ({"pretrained_path": "a.pt"} if variant.start else {}))
        bundle = load_bundle(settings.data, settings.tasks)
        rows = {name: found.tolist() for name, found in bundle.splits.items()}
        first = rows if first is None else first
        assert rows == first, variant.name
        for task, name in variant.tasks.items():
            labelled = bundle.instances.targets[name].labelled[bundle.splits["train"]].sum()
            kind = variant.name if variant.kind == "budget" else "all"
            shares.setdefault((kind.removesuffix("multi").partition("single")[0], task), set()).add(int(labelled))
    assert all(len(found) == 1 for found in shares.values()), "twins have the same labels as the variants beside them"


def test_a_weighting_that_was_typed_keeps_its_settings_and_others_have_their_own(compose):
    two = "tasks=[{name: a, kind: cls, target: fault},{name: b, kind: reg, target: wear, weight: 3}]"
    own = {"seeds": 2, "variants": ["multi"], "alphas": [], "weightings": ["famo", "fixed", "bisector"], "folder": None}
    own |= {"budget_task": None, "label_shares": [], "lr_factors": [1.0], "epoch_factors": [1.0]}

    def flats(*words):
        return {variant.name: variant.flat for variant in variants_of(compare_settings(own), compose(*words))}

    famo = flats("weighting=famo", "weighting.lr=0.5")
    assert famo["weighting_famo"] == famo["multi"]
    assert famo["weighting_famo"]["weighting"]["lr"] == 0.5
    assert famo["weighting_fixed"]["weighting"] == {"name": "fixed"}
    custom = flats("task=custom", two)
    assert custom["weighting_fixed"] == custom["multi"]
    assert custom["weighting_famo"]["weighting"]["lr"] == 0.025
    assert check(custom["weighting_bisector"]).weights == {"a": 0.5, "b": 0.5}
