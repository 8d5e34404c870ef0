"""A tiny data set and a tiny setting of every method, for tests of vectors and what is made of them."""

import json

import numpy as np

SMALL = {
    "summary": ["representation=summary"],
    "minirocket": ["representation=minirocket", "representation.num_features=200"],
    "multirocket": ["representation=multirocket", "representation.num_features=700"],
    "catch22": ["representation=catch22"],
    "ts2vec": [
        *("representation=ts2vec", "representation.embed_dim=8", "representation.hidden_size=8"),
        *("representation.depth=3", "representation.steps=10"),
    ],
    "contrastive": [
        *("representation=contrastive", "representation.features=8", "representation.layers=1"),
        *("representation.head_size=4", "representation.steps=3"),
    ],
    "masked": [
        *("representation=masked", "representation.head_size=4", "representation.layers=1"),
        "representation.steps=3",
    ],
}
FAST = ["model=fc", "hidden_sizes=[8]", "num_epochs=2", "batch_size=32", "lr=0.01", "device=cpu"]
WORDS = ["data=npz", "data.path=series.npz", "data.split_key=part", "data.channels_key=channels"]
N, STEPS = 90, 24
OTHER = {  # words that ask for another split than the vectors were fitted on, and the key that is named
    "data.split=stratified": "data.split",
    "data.split_key=machine": "data.split_key",
    "data.split_key=split data.test_fold=1": "data.test_fold",
    "data.split_key=split data.val_fold=1": "data.val_fold",
}


def write_series(tmp_path):
    """Write ``series.npz``: series of which class and number can be read, with a gap here and there; give its arrays.

    ``part`` is the split.
    """
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, N)
    x = (rng.normal(size=(N, 2, STEPS)) + np.sin(np.arange(STEPS) * (1 + y[:, None, None]) / 3)).astype(np.float32)
    x[::7, 1, 5] = np.nan
    part = np.repeat(["train", "val", "test"], [50, 20, 20])
    content = {"X": x, "y_cls": np.array(["low", "mid", "top"])[y], "y_reg": y + rng.normal(size=N), "part": part}
    content |= {"machine": np.arange(N) // 5, "channels": np.array(["a", "b"])}
    np.savez(tmp_path / "series.npz", **content)
    return content


def arrays_of(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def metrics_of(path):
    return json.loads(path.read_text())["metrics"]
