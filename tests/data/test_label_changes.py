"""Train labels that are left out, or shuffled: how many, which, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsmtl.data.instances import ClassTarget, Instances, NumberTarget
from tsmtl.data.label_changes import with_changed_labels

N, TRAIN = 100, np.arange(0, 100, 2)


def instances(groups=None, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.integers(-1, 3, N)
    values = rng.normal(size=(N, 2)).astype(np.float32)
    values[rng.random(N) < 0.2] = np.nan
    targets = {"cls": ClassTarget("c", ids, ["x", "y", "z"]), "reg": NumberTarget("r", values)}
    return Instances(np.zeros((N, 1, 4), dtype=np.float32), targets, "there", ["a"], groups=groups)


@given(st.floats(0.01, 1), st.integers(0, 5))
def test_each_class_keeps_its_share_and_one_at_least(share, seed):
    data = instances(seed=seed)
    found, _ = with_changed_labels(data, TRAIN, {"cls": share}, [], seed)
    before, after = data.targets["cls"].ids, found.targets["cls"].ids
    for k in range(3):
        assert (after[TRAIN] == k).sum() == np.ceil(share * (before[TRAIN] == k).sum() - 1e-9)
    changed = np.flatnonzero(before != after)
    assert np.isin(changed, TRAIN).all()
    assert (after[changed] == -1).all()
    assert found.targets["reg"] is data.targets["reg"]


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_fewer_labels_are_a_part_of_more(one, other):
    data, (few, many) = instances(), sorted((one, other))
    kept = [
        np.flatnonzero(~np.isnan(with_changed_labels(data, TRAIN, {"reg": s}, [], 0)[0].targets["reg"].values[:, 0]))
        for s in (few, many)
    ]
    assert np.isin(kept[0], kept[1]).all()


def test_groups_stay_whole():
    groups = np.repeat(np.arange(20), 5)
    data = instances(groups)
    train = np.flatnonzero(groups < 12)
    found, notes = with_changed_labels(data, train, {"reg": 0.3}, [], 0)
    was, now = data.targets["reg"].labelled, found.targets["reg"].labelled
    whole = {g: (now[train] == was[train])[groups[train] == g].all() for g in range(12)}
    gone = {g: not now[train][groups[train] == g].any() for g in range(12)}
    assert all(whole[g] or gone[g] for g in range(12))
    kept = int(now[train].sum())
    assert kept >= 0.3 * was[train].sum()
    assert kept - max(was[groups == g].sum() for g in range(12)) < 0.3 * was[train].sum()
    assert notes == [f"{kept} of {was[train].sum()} train labels of reg stay (data.label_share)"]


@given(st.integers(0, 20))
def test_shuffled_labels_are_the_same_labels_on_other_instances_of_train(seed):
    data = instances()
    found, _ = with_changed_labels(data, TRAIN, {}, ["cls", "reg"], seed)
    for name, of in (("cls", lambda t: t.ids[:, None]), ("reg", lambda t: t.values)):
        before, after = of(data.targets[name]), of(found.targets[name])
        labelled = data.targets[name].labelled
        assert (found.targets[name].labelled == labelled).all()
        np.testing.assert_array_equal(np.delete(before, TRAIN, axis=0), np.delete(after, TRAIN, axis=0))
        rows = TRAIN[labelled[TRAIN]]
        np.testing.assert_array_equal(np.sort(before[rows], axis=0), np.sort(after[rows], axis=0))
        assert (before[rows] != after[rows]).any()
    rows = TRAIN[data.targets["reg"].labelled[TRAIN]]  # numbers of an instance stay together
    pairs = {tuple(v) for v in data.targets["reg"].values[rows].tolist()}
    assert {tuple(v) for v in found.targets["reg"].values[rows].tolist()} == pairs


def test_targets_that_are_not_read_are_left_alone():
    data = instances()
    found, notes = with_changed_labels(data, TRAIN, {"pump": 0.5}, ["valve"], 0)
    assert (found.targets, notes) == (data.targets, [])


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("data.label_share={clss:0.5}", "data.label_share: clss is no task of this run; there are cls, reg"),
        ("data.label_share={cls:1.5}", "data.label_share: must be {name: a number in (0, 1]} (got {'cls': 1.5})"),
        ("data.shuffled_labels=[valve]", "data.shuffled_labels: valve is no task of this run; there are cls, reg"),
    ],
)
def test_wrong_names_and_shares_are_refused(tsmtl_train, argument, line):
    answer = tsmtl_train(argument)
    assert (answer.code, answer.lines) == (2, [f"tsmtl-train: {line}"])
