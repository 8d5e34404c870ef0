"""Splits of an array lie in the room of the data itself."""

import numpy as np
import pytest
import torch

from tsmtl.assembly import fit_preparation, make_tasks
from tsmtl.data.loading import load_bundle
from tsmtl.splits import make_splits


@pytest.fixture(params=["equal lengths", "lengths", "vectors"])
def settings(request, compose, tmp_path):
    rng = np.random.default_rng(0)
    shape = (60, 3) if request.param == "vectors" else (60, 3, 10)
    arrays = {"X": rng.normal(3, 2, shape).astype(np.float32), "y_cls": rng.integers(0, 2, 60), "y_reg": rng.random(60)}
    more = []
    if request.param == "lengths":
        arrays["n"] = rng.integers(4, 11, 60)
        more = ["data.lengths_key=n"]
    np.savez(tmp_path / "data.npz", **arrays)
    model = "fc" if request.param == "vectors" else "gru"
    return compose("data=npz", f"data.path={tmp_path}/data.npz", f"model={model}", *more)


def test_all_splits_share_the_input_which_is_prepared_once_in_its_place(settings):
    raw = load_bundle(settings.data, settings.tasks)
    bundle = load_bundle(settings.data, settings.tasks)
    preparation, tasks = fit_preparation(settings, bundle), make_tasks(settings, bundle)
    splits = make_splits(settings.data, bundle, preparation, tasks, torch.device("cpu"))
    assert {split.x.data_ptr() for split in splits.values()} == {bundle.instances.x.ctypes.data}
    for name, split in splits.items():
        rows, lengths = raw.splits[name], raw.instances.lengths
        assert len(split) == len(rows)
        own = None if lengths is None else lengths[rows]
        expected = preparation.apply(raw.instances.x[rows], own)
        wanted = torch.tensor([3, 0, 5])
        x, found, targets = split.batch(wanted)
        longest = expected.shape[-1] if own is None else own[wanted].max()
        np.testing.assert_array_equal(x.numpy(), expected[wanted][..., :longest])
        assert found is None if own is None else found.tolist() == own[wanted].tolist()
        assert targets["cls"].tolist() == raw.instances.targets["cls"].ids[rows][wanted].tolist()


def test_input_that_is_prepared_is_not_prepared_again(settings):
    bundle = load_bundle(settings.data, settings.tasks)
    preparation, tasks = fit_preparation(settings, bundle), make_tasks(settings, bundle)
    make_splits(settings.data, bundle, preparation, tasks, torch.device("cpu"))
    with pytest.raises(ValueError, match="read-only"):
        make_splits(settings.data, bundle, preparation, tasks, torch.device("cpu"))
