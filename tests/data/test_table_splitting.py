"""The splits of tables: laws on random tables, and the rules by hand."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.data.tables import PLANT, plant, rows_read, source_of
from tsmtl.config.errors import UserError
from tsmtl.data.instances import SPLITS, Instances
from tsmtl.data.table import instances_of
from tsmtl.data.windows import Windows

TASKS = {"reg": "reg"}


@dataclass(frozen=True)
class Drawn:
    """A random table and how it is split; ``row`` numbers its rows, and is the only channel."""

    frame: pl.DataFrame
    changes: dict[str, Any]


@st.composite
def tables(draw, rules=("group", "group_kfold", "time", "time_kfold", "given")):
    rule = draw(st.sampled_from(rules))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))  # thousands of draws of hypothesis would take minutes
    lengths = rng.integers(4, 26, draw(st.integers(5 if rule.startswith("group") else 1, 7)))
    t = np.concatenate([rng.integers(0, 13) + np.cumsum(rng.choice([1, 1, 1, 2, 9], n)) for n in lengths])
    thirds = [np.sort(rng.integers(0, 3, n)) if rng.random() < 0.6 else np.full(n, rng.integers(0, 3)) for n in lengths]
    row = np.arange(lengths.sum(), dtype=np.float64)
    columns = {
        "unit": np.repeat([f"u{i * 7 % 5}{i}" for i in range(len(lengths))], lengths),
        "t": t,
        "row": row,
        "s": np.array(SPLITS)[np.concatenate(thirds)],
        "y": np.where(rng.random(len(row)) < rng.choice([0, 0.3]), np.nan, row % 10),
    }
    order = rng.permutation(len(row)) if draw(st.booleans()) else np.arange(len(row))
    frame = pl.DataFrame({name: column[order] for name, column in columns.items()})
    changes = {
        "split": rule,
        "window": draw(st.integers(1, 6)),
        "stride": draw(st.integers(1, 8)),
        "horizon": draw(st.sampled_from([0, 0, 2])),
        "short": draw(st.sampled_from(["pad", "drop"])),
        "max_gap": draw(st.sampled_from([None, 4])),
        "test_windows": draw(st.sampled_from(["all", "all", "last"])),
        "seed": draw(st.integers(0, 3)),
        "val_fraction": draw(st.sampled_from([0.2, 0.5])),
    }
    if rule == "given":
        changes["split_key"] = "s"
    if rule.startswith("time"):
        changes["gap"] = draw(st.sampled_from([0, 1, 5, 15]))
    if rule.endswith("kfold"):
        changes |= {"n_folds": 3, "fold": draw(st.integers(0, 2))}
    return Drawn(frame, changes)


def made(drawn: Drawn, settings_of: Any, frame: pl.DataFrame | None = None) -> Instances:
    named = {"entity": "unit", "time": "t", "channels": ["row"], "regression_target": "y"}
    asked = settings_of("table", **named, **drawn.changes)
    try:
        return instances_of(asked, TASKS, source_of(drawn.frame if frame is None else frame, block=9))
    except UserError as error:
        assume("no window of" not in str(error) and "must follow one another" not in str(error))
        assume("changes within entities" not in str(error))
        assume("names no val split" not in str(error) and "one entity is left" not in str(error))
        raise


def read_by(instances: Instances) -> dict[str, list[list[int]]]:
    """List the rows of the table that each window and its targets read, by split."""
    windows = instances.x
    assert isinstance(windows, Windows)
    number = windows.values[:, 0].astype(int)
    return {s: [[int(number[r]) for r in rows] for rows in rows_read(windows, instances.given[s])] for s in SPLITS}


@settings(max_examples=80)
@given(drawn=tables())
def test_no_row_no_entity_and_no_time_within_the_gap_is_in_two_splits(settings_of, drawn):
    instances = made(drawn, settings_of)
    table = drawn.frame.sort("row")
    unit, t = table["unit"].to_list(), table["t"].to_numpy()
    read = read_by(instances)
    rows = {s: sorted({r for window in read[s] for r in window}) for s in SPLITS}
    rule = drawn.changes["split"]
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not set(rows[a]) & set(rows[b])
        if rule.startswith("group"):
            assert not {unit[r] for r in rows[a]} & {unit[r] for r in rows[b]}
        if rule.startswith("time"):
            assert t[rows[b]].min() - t[rows[a]].max() > drawn.changes["gap"]
        if rule == "given":
            split = table["s"].to_list()
            assert {split[r] for r in rows[b]} <= {b, "train" if b == "val" and "val" not in split else b}
    assert instances.facts["leaks"] is False
    for windows in read.values():
        for window in windows:
            assert len({unit[r] for r in window}) == 1
            steps = np.diff(t[window])
            assert (steps > 0).all()
            if drawn.changes["max_gap"]:
                assert (steps <= drawn.changes["max_gap"]).all()


@settings(max_examples=50)
@given(drawn=tables())
def test_every_row_is_read_or_counted_in_a_note(settings_of, drawn):
    instances = made(drawn, settings_of)
    read = {r for windows in read_by(instances).values() for window in windows for r in window}
    said = [note.split(" rows ")[0].split(" ")[-1] for note in instances.notes if note_of_lost_rows(note)]
    assert len(drawn.frame) - len(read) == sum(int(n) for n in said), instances.notes


def note_of_lost_rows(note: str) -> bool:
    return any(words in note for words in ("left out", "for another window", "between windows", "not read"))


@settings(max_examples=40)
@given(drawn=tables(), random=st.randoms(use_true_random=False))
def test_the_order_of_rows_in_the_file_does_not_move_the_splits(settings_of, drawn, random):
    order = list(range(len(drawn.frame)))
    random.shuffle(order)
    one, other = (read_by(made(drawn, settings_of, frame)) for frame in (drawn.frame, drawn.frame[order]))
    assert {s: sorted(windows) for s, windows in one.items()} == {s: sorted(windows) for s, windows in other.items()}


@settings(max_examples=12)
@given(data=st.data(), rule=st.sampled_from(["group_kfold", "time_kfold"]))
def test_each_row_is_tested_in_one_fold_at_most_and_by_entity_in_exactly_one(settings_of, data, rule):
    drawn = data.draw(tables(rules=[rule]))
    plain = {"window": 1, "stride": 1, "horizon": 0, "max_gap": None, "test_windows": "all", "gap": 0}
    times = 0
    for fold in range(3):
        changes = drawn.changes | plain | {"fold": fold}
        read = read_by(made(Drawn(drawn.frame, changes), settings_of))["test"]
        times += np.bincount([window[0] for window in read], minlength=len(drawn.frame))
    assert times.max() == 1
    if rule == "group_kfold":
        assert times.min() == 1


def series(n: int, entities: tuple[str, ...] = ("e",)) -> pl.DataFrame:
    """Entities with the times 0 ... n - 1, and their time as channel and number."""
    t = np.tile(np.arange(n), len(entities))
    return pl.DataFrame({"unit": np.repeat(entities, n), "t": t, "x": t * 1.0, "y": t * 1.0})


@pytest.fixture
def split(settings_of):
    """Give a function that splits a frame into windows of one row, and lists entity and time of each split's rows."""

    def of(frame: pl.DataFrame, test: pl.DataFrame | None = None, **changes: Any) -> dict[str, list]:
        named = {"entity": "unit", "time": "t", "channels": ["x"], "regression_target": "y", "window": 1}
        instances = instances_of(settings_of("table", **{**named, **changes}), TASKS, source_of(frame, test))
        windows = instances.x
        found = {}
        for s in SPLITS:
            piece = windows.piece_of(instances.given[s])
            units = [drawn_entity(instances, int(p)) for p in piece]
            found[s] = list(zip(units, windows[instances.given[s]][:, 0, 0].astype(int).tolist(), strict=True))
        return found

    return of


def drawn_entity(instances: Instances, piece: int) -> int:
    """Give the first row of the entity of a piece."""
    return int(instances.context.birth[piece])


def times(found: list) -> list[int]:
    return [t for _, t in found]


def test_by_time_val_and_test_begin_where_the_settings_say(split):
    found = split(series(20), split="time", val_from=8, test_from=12, test_until=18)
    assert {s: times(rows) for s, rows in found.items()} == {
        "train": [*range(8)],
        "val": [*range(8, 12)],
        "test": [*range(12, 18)],
    }


def test_by_time_the_fractions_are_of_the_rows_and_of_what_is_left(split):
    found = split(series(100), split="time", test_fraction=0.2, val_fraction=0.25)
    assert {s: (times(rows)[0], times(rows)[-1]) for s, rows in found.items()} == {
        "train": (0, 59),
        "val": (60, 79),
        "test": (80, 99),
    }


@pytest.mark.parametrize("gap", [1, 3, 4])
def test_a_gap_is_left_out_before_each_cut(split, gap):
    found = split(series(30), split="time", val_from=10, test_from=20, gap=gap)
    assert times(found["train"])[-1] == 9 - gap
    assert (times(found["val"])[0], times(found["val"])[-1], times(found["test"])[0]) == (10, 19 - gap, 20)


def test_a_gap_longer_than_val_leaves_no_val_rather_than_one_beside_test(split, refuses):
    with refuses("no window of 1 rows in the val split"):
        split(series(30), split="time", val_from=10, test_from=14, gap=5)


def test_entities_are_cut_at_the_same_moments_though_they_begin_and_end_apart(split):
    late = series(10).with_columns(unit=pl.lit("late"), t=pl.col("t") + 10, x=pl.col("x") + 10)
    found = split(pl.concat([series(10), late]), split="time", val_from=6, test_from=12)
    assert found == {
        "train": [(0, t) for t in range(6)],
        "val": [(0, 6), (0, 7), (0, 8), (0, 9), (10, 10), (10, 11)],
        "test": [(10, t) for t in range(12, 20)],
    }


def test_folds_of_time_go_forward(split):
    for fold in range(3):  # four parts of ten: test on the part behind those learnt from
        found = split(series(40), split="time_kfold", n_folds=3, fold=fold, val_fraction=0.2)
        assert times(found["test"]) == list(range(10 * (fold + 1), 10 * (fold + 2)))
        assert times(found["train"]) + times(found["val"]) == list(range(10 * (fold + 1)))
        assert len(found["val"]) == 2 * (fold + 1)


def test_separate_test_files_are_the_test_split_also_where_their_entities_have_the_same_names(split):
    frame, test = series(10, ("a", "b", "c", "d")), series(5, ("a", "b"))
    found = split(frame, test)
    assert sorted(times(found["test"])) == sorted([*range(5)] * 2)
    assert {row for row, _ in found["test"]} == {40, 45}
    found = split(series(10, ("a",)), test, split="time", val_from=7)
    assert [len(found[s]) for s in SPLITS] == [7, 3, 10]


def test_one_entity_and_a_test_file_need_no_times(split):
    found = split(series(10, ("a",)), series(4, ("b",)), time=None, val_fraction=0.3)
    assert (times(found["train"]), times(found["val"]), times(found["test"])) == ([*range(7)], [7, 8, 9], [*range(4)])


def test_classes_are_as_frequent_in_every_split_as_entities_allow(settings_of):
    units = 40
    frame = pl.DataFrame(
        {
            "unit": np.repeat([f"u{i}" for i in range(units)], 5),
            "t": np.tile(np.arange(5), units),
            "x": np.arange(5.0 * units),
            "c": np.repeat(np.where(np.arange(units) % 4 == 0, "rare", "often"), 5),
        }
    )
    asked = {"entity": "unit", "time": "t", "channels": ["x"], "class_target": "c", "window": 1}
    for changes in ({"split": "group"}, *({"split": "group_kfold", "n_folds": 5, "fold": k} for k in range(5))):
        instances = instances_of(settings_of("table", **asked, **changes), {"cls": "cls"}, source_of(frame))
        for name in ("train", "test"):
            share = np.bincount(instances.targets["cls"].ids[instances.given[name]]) / len(instances.given[name])
            assert share[1] == pytest.approx(0.25, abs=0.05)


def test_a_stratum_that_left_with_the_test_entities_does_not_trouble_the_draw_of_val(split):
    frame = series(4, ("a", "b", "c", "d", "e", "f")).with_columns(y=pl.col("unit").rank("dense").cast(pl.Float64))
    for seed in range(5):
        assert all(split(frame, split="group", seed=seed).values())


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"split": "group"}, ("made: data.split=group needs 3 entities at least, there are 2", "data.split=time")),
        ({"split": "group_kfold", "fold": 0}, ("data.split=group_kfold needs 5 entities at least, there are 2",)),
        ({"split": "group_kfold", "fold": 0, "n_folds": 2}, ("one entity is left for train and val",)),
        ({"split": "time", "time": None}, ("data.time: data.split=time of several entities needs",)),
        ({"split": "time", "val_from": 9, "test_from": 5}, ("must follow one another in time (got 9, 5, the end)",)),
        ({"split": "time", "val_from": 2, "test_from": 5, "test_until": 4}, ("(got 2, 5, 4)",)),
        ({"split": "time", "val_from": "2024-01-01"}, ("data.val_from: the times are plain numbers",)),
        ({"split": "time", "gap": "2h"}, ("data.gap: the times are plain numbers",)),
        ({"split": "time", "val_from": 50, "test_from": 60}, ("no window of 1 rows in the val and test split",)),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(split, refuses, changes, parts):
    with refuses(*parts):
        split(series(10, ("a", "b")), **changes)


@pytest.mark.parametrize("rule", ["time_kfold", "group_kfold"])
def test_folds_would_not_read_a_test_file(split, refuses, rule):
    with refuses(f"data.split: {rule} would not read the separate test files"):
        split(series(10, tuple("abcde")), series(4), split=rule, fold=0, n_folds=2)


def test_a_given_column_of_folds_and_words(split, refuses):
    frame = series(6, ("a", "b", "c")).with_columns(k=pl.col("unit").replace({"a": "1", "b": "2", "c": "3"}))
    found = split(frame, split_key="k", test_fold=3, val_fold=2)
    assert {s: {row for row, _ in rows} for s, rows in found.items()} == {"train": {0}, "val": {6}, "test": {12}}
    with refuses("made: 'k' holds fold ids (1, 2, 3)", "data.test_fold"):
        split(frame, split_key="k")
    with refuses("data.test_fold: 'k' has no fold 9"):
        split(frame, split_key="k", test_fold=9)
    words = frame.with_columns(k=pl.when(pl.col("t") < 3).then(pl.lit("train")).otherwise(pl.lit("test")))
    found = split(words, split_key="k")
    assert len({row for row, _ in found["val"]}) == 1, "val is a whole entity of those that train has"
    with refuses("names no val split, and train has one entity"):
        split(words.filter(pl.col("unit") == "a"), split_key="k")
    with refuses("the words of a split are train, val and test"):
        split(words.with_columns(k=pl.col("k").replace("test", "Test")), split_key="k")
    with refuses("column 'k' is empty (entity 'b', time 1)"):
        empty = pl.when((pl.col("unit") == "b") & (pl.col("t") == 1)).then(None).otherwise(pl.col("k"))
        split(words.with_columns(k=empty), split_key="k")


def test_a_gap_under_auto_is_read_by_time_and_refused_by_entity(split, refuses):
    found = split(series(20, ("a",)), gap=2)
    assert [times(found[s]) for s in SPLITS] == [[*range(11)], [13], [16, 17, 18, 19]]
    with refuses("data.gap: split=auto divides these 3 entities as wholes", "data.split=time"):
        split(series(20, ("a", "b", "c")), gap=2)


def test_a_given_column_that_changes_from_row_to_row_is_refused_and_a_few_short_stretches_are_counted(
    split, settings_of, refuses
):
    def notes(frame: pl.DataFrame) -> list[str]:
        named = {"entity": "unit", "time": "t", "channels": ["x"], "regression_target": "y", "window": 4}
        asked = settings_of("table", **named, split_key="k", short="drop")
        return [note for note in instances_of(asked, TASKS, source_of(frame)).notes if "changes within" in note]

    frame = series(30, ("a", "b", "c"))
    by_row = frame.with_columns(k=pl.Series(np.array(SPLITS)[np.random.default_rng(0).integers(0, 3, 90)]))
    with refuses(
        "made: column 'k' changes within entities", "shorter than a window and its horizon (5 rows)", "=group"
    ):
        split(by_row, split_key="k", window=4, horizon=1)
    assert sum(len(rows) for rows in split(by_row, split_key="k", window=1).values()) == 90, "rows are windows here"
    thirds = frame.with_columns(k=pl.Series(np.tile(np.repeat(SPLITS, 10), 3)))
    late = thirds.with_columns(k=pl.when(pl.col("t") == 25).then(pl.lit("val")).otherwise(pl.col("k")))
    assert notes(thirds) == []
    (note,) = notes(late)
    assert note.startswith("column 'k' changes within entities, and 3 of 15 stretches of one split, 3 of 90 rows")


def test_entities_shorter_than_a_window_are_no_fault_of_the_given_column(split):
    frame = series(3, tuple("abcdef")).with_columns(
        k=pl.col("unit").replace(dict(zip("abcdef", SPLITS * 2, strict=True)))
    )
    assert [len(rows) for rows in split(frame, split_key="k", window=5, short="pad").values()] == [2, 2, 2]


def test_two_folds_of_train_that_follow_one_another_are_one_piece(settings_of):
    frame = plant(entities=2, rows=30).with_columns(fold=pl.col("time") // 10)
    lengths = []
    for val_fold in (1, None):
        settings = settings_of("table", **{**PLANT, "window": 8}, split_key="fold", test_fold=2, val_fold=val_fold)
        given_rows = instances_of(settings, TASKS, source_of(frame)).given or {}
        lengths.append({name: len(rows) for name, rows in given_rows.items()})
    assert lengths == [{"train": 6, "val": 6, "test": 6}, {"train": 13, "val": 13, "test": 6}]
