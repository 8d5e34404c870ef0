"""Splits of an array lie in the room of the data itself, or of what jobs share."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.tables import plant, written
from tsmtl.assembly import assemble, fit_preparation, make_tasks
from tsmtl.data.loading import load_bundle
from tsmtl.data.preparation import InputPreparation
from tsmtl.loaded import load
from tsmtl.splits import make_splits, prepared

CPU = torch.device("cpu")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


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
    splits = make_splits(settings.data, *prepared(bundle, preparation), tasks, CPU)
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


def test_all_splits_share_the_targets_and_give_each_its_own(settings):
    bundle = load_bundle(settings.data, settings.tasks)
    tasks = make_tasks(settings, bundle)
    splits = make_splits(settings.data, *prepared(bundle, fit_preparation(settings, bundle)), tasks, CPU)
    ids, values = (bundle.instances.targets[task].array for task in ("cls", "reg"))
    assert {split.all_targets["cls"].data_ptr() for split in splits.values()} == {ids.ctypes.data}
    assert len({split.all_targets["reg"].data_ptr() for split in splits.values()}) == 1
    for name, split in splits.items():
        rows, wanted = bundle.splits[name], torch.tensor([4, 1])
        assert split.targets["cls"].tolist() == ids[rows].tolist()
        np.testing.assert_array_equal(split.targets["reg"].numpy(), tasks["reg"].scaled(values[rows]))
        for task, found in split.targets_of(wanted).items():
            assert torch.equal(found, split.targets[task][wanted])


def test_input_that_is_prepared_is_not_prepared_again(settings):
    bundle = load_bundle(settings.data, settings.tasks)
    preparation, tasks = fit_preparation(settings, bundle), make_tasks(settings, bundle)
    make_splits(settings.data, *prepared(bundle, preparation), tasks, CPU)
    with pytest.raises(ValueError, match="read-only"):
        prepared(bundle, preparation)


@linux
def test_jobs_that_share_their_data_prepare_it_once_and_hold_it_once(settings, tmp_path, monkeypatch):
    for x in shared_by_two_jobs(settings, tmp_path, monkeypatch, "apply_in_place"):
        assert private_bytes(x) == 0


@linux
def test_so_they_do_with_a_recording_and_the_channels_derived_from_it(compose, tmp_path, monkeypatch):
    path = written(plant(), tmp_path / "plant.parquet")
    columns = ["data.entity=machine", "data.time=time", "data.class_target=state", "data.regression_target=wear"]
    more = ["data.window=5", "data.derive=[{difference: 1}]", "model=gru"]
    settings = compose("data=table", f"data.path={path}", *columns, *more)
    for windows in shared_by_two_jobs(settings, tmp_path, monkeypatch, "scale_in_place"):
        assert private_bytes(windows.values) == 0


def shared_by_two_jobs(settings, place, monkeypatch, prepares):
    """Give the inputs of two jobs, once their batches are those of a job alone and one of them has prepared."""
    alone, times = assemble(settings, load(settings).bundle, None, CPU), []
    prepare = getattr(InputPreparation, prepares)
    monkeypatch.setattr(InputPreparation, prepares, lambda *given: times.append(1) or prepare(*given))
    sharing = replace(settings, shared=place)
    jobs = [assemble(sharing, load(sharing).bundle, None, CPU) for _ in range(2)]
    assert len(times) == 1
    for job in jobs:
        for name, split in alone.splits.items():
            every = torch.arange(len(split))
            (x, lengths, _), (expected, its, _) = job.splits[name].batch(every), split.batch(every)
            assert torch.equal(x, expected)
            assert (lengths is None and its is None) or torch.equal(lengths, its)
    return [job.bundle.instances.x for job in jobs]


def private_bytes(values):
    """Give what this process alone holds of the map that an array lies in."""
    own, at = False, values.ctypes.data
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            low, high = (int(end, 16) for end in first.split("-"))
            own = low <= at < high
            assert not own or ".arrays" in line
        elif own and first == "Anonymous:":
            return int(line.split()[1])
    raise AssertionError("no such map")
