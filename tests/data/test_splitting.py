import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tsmtl.data.array_targets import split_of_array
from tsmtl.data.instances import SPLITS, ClassTarget, Instances, NumberTarget
from tsmtl.data.splitting import draw_groups, draw_stratified, split

FRACTIONS = st.floats(0.1, 0.6)
SEEDS = st.integers(0, 2**32 - 1)
CLASS_SIZES = st.lists(st.integers(10, 40), min_size=1, max_size=5)


def instances_of(classes=None, numbers=None, groups=None, given=None):
    targets = {}
    if classes is not None:
        ids = np.asarray(classes, dtype=np.int64)
        targets["cls"] = ClassTarget("y", ids, [str(i) for i in range(ids.max() + 1)])
    if numbers is not None:
        targets["reg"] = NumberTarget("z", np.asarray(numbers, dtype=np.float32)[:, None])
    n = len(classes if classes is not None else numbers)
    groups = None if groups is None else np.asarray(groups)
    return Instances(np.zeros((n, 1, 1), np.float32), targets, "file", ["channel_1"], groups=groups, given=given)


def classes_of(sizes, seed):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


@given(CLASS_SIZES, FRACTIONS, FRACTIONS, SEEDS)
def test_random_splits_are_disjoint_and_cover_every_row(settings_of, sizes, test_fraction, val_fraction, seed):
    settings = settings_of("synthetic", test_fraction=test_fraction, val_fraction=val_fraction, seed=seed)
    rows = split(instances_of(classes_of(sizes, seed)), settings)
    assert set(rows) == set(SPLITS)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(sum(sizes)))


@given(CLASS_SIZES, FRACTIONS, FRACTIONS, SEEDS)
def test_every_class_gives_its_share_to_within_one_row(settings_of, sizes, test_fraction, val_fraction, seed):
    classes = classes_of(sizes, seed)
    settings = settings_of("synthetic", test_fraction=test_fraction, val_fraction=val_fraction, seed=seed)
    rows = split(instances_of(classes), settings)
    count = {name: np.bincount(classes[r], minlength=len(sizes)) for name, r in rows.items()}
    rest = np.array(sizes) - count["test"]
    assert np.abs(count["test"] - test_fraction * np.array(sizes)).max() < 1 + 1e-9
    assert np.abs(count["val"] - val_fraction * rest).max() < 1 + 1e-9
    assert len(rows["test"]) == round(test_fraction * sum(sizes))
    assert len(rows["val"]) == round(val_fraction * rest.sum())


@given(st.lists(st.integers(-1, 12), min_size=1, max_size=60), st.floats(0.01, 0.99), SEEDS)
def test_strata_of_any_size_keep_one_row_and_miss_their_share_by_less_than_one(strata, fraction, seed):
    strata = np.array(strata)
    chosen = draw_stratified(strata, fraction, np.random.default_rng(seed))
    for stratum in np.unique(strata):
        size, taken = (strata == stratum).sum(), chosen[strata == stratum].sum()
        assert taken < size
        assert abs(taken - fraction * size) < 1 + 1e-9


def test_what_single_rows_cannot_give_is_taken_from_larger_strata():
    # Half of 99 rows: four strata of one row keep it, so the stratum of 95 rounds its 47.5 up.
    strata = np.array([0, 1, 2, 3] + [4] * 95)
    chosen = draw_stratified(strata, 0.5, np.random.default_rng(0))
    assert chosen[:4].sum() == 0
    assert chosen.sum() == 48


@given(st.lists(st.integers(0, 9), min_size=20, max_size=120), FRACTIONS, FRACTIONS, SEEDS)
def test_a_group_is_never_divided(settings_of, groups, test_fraction, val_fraction, seed):
    assume(len(set(groups)) >= 3)
    classes = np.random.default_rng(seed).integers(0, 2, len(groups))
    settings = settings_of("synthetic", test_fraction=test_fraction, val_fraction=val_fraction, seed=seed)
    try:
        rows = split(instances_of(classes, groups=groups), settings)
    except ValueError:  # the test split took all groups but one, and val needs one too
        rng = np.random.default_rng(seed)
        chosen = draw_groups(np.array(groups), classes, test_fraction, rng, "file")
        assert len(set(np.array(groups)[~chosen])) == 1
        return
    np.testing.assert_array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(len(groups)))
    of = [set(np.array(groups)[r]) for r in rows.values()]
    assert sum(len(part) for part in of) == len(set(groups))


@pytest.mark.parametrize("groups", [np.arange(400) // 10, np.char.add("run ", (np.arange(400) // 10).astype(str))])
def test_groups_of_one_size_meet_the_shares_exactly(settings_of, groups):
    settings = settings_of("synthetic", test_fraction=0.25, val_fraction=0.2)
    rows = split(instances_of(np.arange(400) % 4, groups=groups), settings)
    assert {name: len(r) for name, r in rows.items()} == {"train": 240, "val": 60, "test": 100}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("few", [1, 3])
def test_a_class_of_few_groups_stays_in_train(settings_of, few, seed):
    # Of 30 groups a blind draw of half takes the only one of a class in every second try, all three in every eighth.
    groups = np.arange(300) // 10
    classes = (groups >= 30 - few).astype(int)
    settings = settings_of("synthetic", test_fraction=0.5, val_fraction=0.2, seed=seed)
    rows = split(instances_of(classes, groups=groups), settings)
    assert classes[rows["train"]].any()
    assert classes[rows["test"]].any() == (few > 1)


@pytest.mark.parametrize("groups", [None, np.arange(90) // 3])
def test_the_seed_alone_decides_the_rows(settings_of, groups):
    instances = instances_of(np.arange(90) % 3, groups=groups)
    first, again, other = (split(instances, settings_of("synthetic", seed=seed)) for seed in (3, 3, 4))
    for name in SPLITS:
        np.testing.assert_array_equal(first[name], again[name])
        assert set(first[name]) != set(other[name])


@pytest.mark.parametrize("groups", [None, np.arange(60) // 2])
def test_val_is_carved_from_train_alone_where_only_test_is_given(settings_of, groups):
    train, test = np.arange(0, 60, 2), np.arange(1, 60, 2)
    if groups is not None:
        groups = np.where(np.arange(60) % 2, groups + 100, groups // 2)
    instances = instances_of(np.arange(60) // 2 % 3, groups=groups, given={"train": train, "test": test})
    rows = split(instances, settings_of("synthetic", val_fraction=0.2))
    np.testing.assert_array_equal(rows["test"], test)
    assert len(rows["val"]) == 6
    np.testing.assert_array_equal(np.sort(np.concatenate([rows["train"], rows["val"]])), train)


def test_a_given_split_is_kept_row_by_row(settings_of):
    given = {"train": np.array([5, 0, 2]), "val": np.array([4]), "test": np.array([3, 1])}
    rows = split(instances_of([0, 1, 0, 1, 0, 1], given=given), settings_of("synthetic"))
    for name in SPLITS:
        np.testing.assert_array_equal(rows[name], given[name])


def test_test_is_carved_where_only_train_and_val_are_given(settings_of):
    given = {"train": np.arange(40), "val": np.arange(40, 50)}
    rows = split(instances_of(np.arange(50) % 2, given=given), settings_of("synthetic", test_fraction=0.25))
    np.testing.assert_array_equal(rows["val"], given["val"])
    assert len(rows["test"]) == 10
    assert set(rows["train"]) | set(rows["test"]) == set(range(40))


def test_a_number_alone_is_stratified_by_its_tenths(settings_of):
    # 200 different numbers: each tenth holds 20, gives 4 to test and 4 of the other 16 (25 %) to val.
    numbers = np.random.default_rng(0).permutation(200)
    rows = split(instances_of(numbers=numbers), settings_of("synthetic", test_fraction=0.2, val_fraction=0.25))
    for name, per_tenth in (("test", 4), ("val", 4), ("train", 12)):
        np.testing.assert_array_equal(np.bincount(numbers[rows[name]] // 20), [per_tenth] * 10)


def test_missing_numbers_are_a_stratum_of_their_own(settings_of):
    numbers = np.where(np.arange(150) < 50, np.nan, np.arange(150.0))
    rows = split(instances_of(numbers=numbers), settings_of("synthetic", test_fraction=0.2, val_fraction=0.2))
    assert np.isnan(numbers[rows["test"]]).sum() == 10
    assert np.isnan(numbers[rows["val"]]).sum() == 8


def test_the_class_and_not_the_number_decides_the_strata_of_two_tasks(settings_of):
    classes = np.arange(100) % 10
    numbers = np.random.default_rng(0).normal(size=100)
    rows = split(instances_of(classes, numbers), settings_of("synthetic", test_fraction=0.2, val_fraction=0.25))
    for name, each in (("test", 2), ("val", 2), ("train", 6)):
        np.testing.assert_array_equal(np.bincount(classes[rows[name]]), [each] * 10)


WORDS = ["train", "test", "train", "val", "test", "train"]
INTS = [0, 0, 1, 1, 10, 10]
TEXTS = ["north", "north", "south", "south", "east", "east"]


@pytest.mark.parametrize(
    ("values", "test_fold", "val_fold", "expected"),
    [
        (WORDS, None, None, {"train": [0, 2, 5], "val": [3], "test": [1, 4]}),
        (["train", "test", "train"], None, None, {"train": [0, 2], "test": [1]}),
        (INTS, 1, None, {"train": [0, 1, 4, 5], "test": [2, 3]}),
        (INTS, 0, 10, {"train": [2, 3], "val": [4, 5], "test": [0, 1]}),
        (INTS, [0, 10], None, {"train": [2, 3], "test": [0, 1, 4, 5]}),
        (INTS, "10", "0", {"train": [2, 3], "val": [0, 1], "test": [4, 5]}),
        (np.array(INTS, dtype=float), 10, [0], {"train": [2, 3], "val": [0, 1], "test": [4, 5]}),
        (TEXTS, "south", None, {"train": [0, 1, 4, 5], "test": [2, 3]}),
        (TEXTS, ["east"], ["north"], {"train": [2, 3], "val": [0, 1], "test": [4, 5]}),
        (["train", "valid", "test"], "test", "valid", {"train": [0], "val": [1], "test": [2]}),
    ],
)
def test_a_split_array_of_words_or_fold_ids_is_read_as_named(settings_of, values, test_fold, val_fold, expected):
    settings = settings_of("npz", split_key="fold", test_fold=test_fold, val_fold=val_fold)
    given = split_of_array(np.asarray(values), settings, "file")
    assert {name: rows.tolist() for name, rows in given.items()} == expected


@pytest.mark.parametrize(
    ("values", "folds", "parts"),
    [
        (INTS, {}, ["file: 'fold' holds fold ids (0, 1, 10)", "data.test_fold"]),
        (INTS, {"test_fold": 7}, ["data.test_fold: 'fold' has no fold 7; it has 0, 1, 10"]),
        (INTS, {"test_fold": 0, "val_fold": [1, 8]}, ["data.val_fold: 'fold' has no fold 8; it has 0, 1, 10"]),
        (INTS, {"test_fold": [0, 1], "val_fold": 1}, ["data.val_fold: fold 1 is the test fold too"]),
        (WORDS, {"test_fold": "test"}, ["file: 'fold' gives train/val/test itself", "data.test_fold"]),
        (WORDS, {"val_fold": "val"}, ["file: 'fold' gives train/val/test itself", "data.val_fold"]),
        ([[0, 1], [1, 0]], {"test_fold": 1}, ["file: 'fold' must have shape (N,) (got (2, 2))"]),
    ],
)
def test_a_split_array_that_contradicts_the_settings_is_refused(settings_of, refuses, values, folds, parts):
    with refuses(*parts):
        split_of_array(np.asarray(values), settings_of("npz", split_key="fold", **folds), "file")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"val_fraction": 0.001}, ["file: the val split is empty (train 48, val 0, test 12)", "val_fraction"]),
        ({"test_fraction": 0.001, "val_fraction": 0.001}, ["file: the val and test split is empty (train 60,"]),
    ],
)
def test_a_share_of_less_than_one_row_is_refused(settings_of, refuses, changes, parts):
    with refuses(*parts):
        split(instances_of(np.arange(60) % 2), settings_of("synthetic", **{"test_fraction": 0.2, **changes}))


def test_a_name_of_each_instance_that_is_taken_for_a_class_is_told_of(settings_of, refuses):
    with refuses("file: the val and test split is empty (train 60, val 0, test 0): ", "' has another class for each"):
        split(instances_of(np.arange(60)), settings_of("synthetic"))


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"train": np.arange(60), "test": []}, ["the test split is empty", "in the split array"]),
        ({"val": np.arange(30), "test": np.arange(30, 60)}, ["the train split is empty (train 0, val 30, test 30)"]),
        ({"test": np.arange(60)}, ["the train and val split is empty (train 0, val 0, test 60)"]),
    ],
)
@pytest.mark.parametrize("groups", [None, np.arange(60) // 2])
def test_a_given_split_without_rows_is_refused_with_all_sizes(settings_of, refuses, given, parts, groups):
    with refuses("file: ", *parts):
        split(instances_of(np.arange(60) % 2, groups=groups, given=given), settings_of("synthetic"))


@pytest.mark.parametrize(
    ("groups", "given"),
    [(["a"] * 20, None), (["a"] * 10 + ["b"] * 10, {"train": np.arange(10), "test": np.arange(10, 20)})],
)
def test_one_group_alone_cannot_be_divided(settings_of, refuses, groups, given):
    with refuses("file: all instances to divide are of one group"):
        split(instances_of(np.arange(20) % 2, groups=groups, given=given), settings_of("synthetic"))


def test_a_group_on_both_sides_of_a_given_split_is_refused(settings_of, refuses):
    given = {"train": np.arange(4), "val": np.arange(4, 6), "test": np.arange(6, 8)}
    groups = ["a", "a", "b", "b", "c", "c", "d", "b"]
    with refuses("file: group b stands in the train and in the test split", "data.group_key"):
        split(instances_of([0, 1] * 4, groups=groups, given=given), settings_of("synthetic"))
