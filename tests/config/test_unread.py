"""Settings that are typed and would not be read are refused, by the settings or by what the data turn out to be."""

import numpy as np
import pytest

from tests.data.tables import plant, written
from tsmtl.config.errors import UserError
from tsmtl.data.loading import load_bundle

TABLE = ["data=table", "data.path=t.csv", "data.window=5", "data.class_target=state", "data.regression_target=wear"]
NPZ = ["data=npz", "data.path=d.npz"]
TUNE = ["stage=finetune", "pretrained_path=best.pt"]
BY_MACHINE = ["data.entity=machine", "data.time=time"]


def lines(compose, *arguments):
    try:
        compose(*arguments)
    except UserError as error:
        return error.lines
    return []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*TABLE, "data.n_folds=3"], "data.n_folds: is read by split=group_kfold and time_kfold alone"),
        ([*TABLE, "data.duplicates=last"], "data.duplicates: tells rows by their times; name their column"),
        ([*TABLE, "data.shuffle_block=8"], "data.shuffle_block: is read with data.spill_folder"),
        ([*TABLE, "data.root=x"], "data.root: is where known sets are looked for"),
        ([*TABLE, "data.path=t.parquet", "data.columns=[a]"], "data.columns: is read of text files alone"),
        ([*TABLE, "data.path=t.parquet", "data.separator=|"], "data.separator: is read of text files alone"),
        ([*TABLE, "data.path=t.parquet", "data.test_path=u.pq", "data.columns=[a]"], "data.columns: is read of text"),
        ([*TABLE, "data.split_key=s", "data.test_fraction=0.3"], "data.test_fraction: is read where no test split is"),
        ([*TABLE, "data.test_path=u.csv", "data.test_fraction=0.3"], "data.test_fraction: is read where no test split"),
        (
            [*TABLE, "data.split=time", "data.test_from=9", "data.test_fraction=0.3"],
            "data.test_fraction: is read where",
        ),
        ([*TABLE, "data.split=time", "data.val_from=9", "data.val_fraction=0.3"], "data.val_fraction: is read where"),
        ([*TABLE, "data.split=time", "data.seed=1"], "data.seed: is read where something is drawn at random"),
        ([*TABLE, "data.split=group_kfold", "data.fold=0", "data.test_fraction=0.3"], "data.test_fraction: is read"),
        (["data=cmapss", "data.test_fraction=0.1"], "data.test_fraction: is read where no test split is given"),
        (["data=cmapss", "data.separator=|"], "data.separator: is not read by data=cmapss"),
        ([*NPZ, "data.shuffle_block=8"], "data.shuffle_block: is read of a folder of .npy files alone"),
        ([*NPZ, "data.lengths_key=l", "data.nan_padding=false"], "data.nan_padding: data.lengths_key tells where"),
        (
            ["data=archive", "data.name=A", "task=cls", "model=gru", "data.test_fraction=0.1"],
            "data.test_fraction: is read where",
        ),
        (["pretrain.folder=kept"], "pretrain.folder: nothing is pretrained without pretrain.task"),
        ([*TUNE, "freeze=true", "lstm_drop_out=0.2"], "lstm_drop_out: freeze=true keeps the backbone as loaded"),
        ([*TUNE, "freeze=true", "model=gru", "dropout=0.2"], "dropout: freeze=true keeps the backbone as loaded"),
        (
            ["stage=finetune", "pretrain.task=reg", *TABLE, "pretrain.data.n_folds=3"],
            "pretrain.data.n_folds: is read by split=group_kfold",
        ),
    ],
)
def test_a_typed_setting_that_is_not_read_is_one_line_that_says_when_it_is(compose, arguments, said):
    found = lines(compose, *arguments)
    assert len(found) == 1, found
    assert found[0].startswith(said)


@pytest.mark.parametrize(
    "arguments",
    [
        [*TABLE, "data.split=group_kfold", "data.fold=0", "data.n_folds=3", "data.seed=1", "data.val_fraction=0.3"],
        [*TABLE, "data.time=time", "data.duplicates=last", "data.spill_folder=.", "data.shuffle_block=8"],
        [*TABLE, "data.split=time", "data.test_fraction=0.3", "data.val_fraction=0.3"],
        [*TABLE, "data.split=time", "data.condition=[a]", "data.condition_clusters=2", "data.seed=1"],
        [*TABLE, "data.path=logs/*", "data.separator=|", "data.columns=[a]"],
        [*TABLE, "data.test_fraction=0.3", "data.val_fraction=0.3", "data.seed=1"],
        [*TABLE, "data.split_key=s", "data.seed=1", "data.val_fraction=0.3"],
        [*NPZ, "data.seed=1", "data.test_fraction=0.3", "data.nan_padding=false"],
        ["data=cmapss", "data.seed=1", "data.val_fraction=0.1", "data.root=x"],
        ["data.seed=1", "data.test_fraction=0.3", "data.val_fraction=0.3"],
        [*TUNE, "freeze=true", "model=gru"],
        [*TUNE, "trainer.unfreeze_at=3", "lstm_drop_out=0.2"],
        ["stage=finetune", "pretrain.task=reg", "pretrain.folder=kept", "freeze=true", "lstm_drop_out=0.2"],
        ["stage=finetune", "pretrain.task=cls", "model=gru", "data.clip_target=[0,9]", *TABLE],
    ],
)
def test_a_typed_setting_that_may_be_read_passes(compose, arguments):
    assert lines(compose, *arguments) == []


def test_a_default_that_is_not_read_is_nobodys_fault(compose, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("data:\n  n_instances: 60\n  seed: 3\npretrain:\n  folder: kept\n")
    assert lines(compose, f"experiment={file}") == []


def test_a_folder_of_parquet_files_has_no_separator_and_one_of_both_kinds_has(compose, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    written(plant(), folder / "a.parquet")
    words = [*TABLE, f"data.path={folder}", "data.separator=|"]
    assert lines(compose, *words) == ["data.separator: is read of text files alone, and the files are Parquet"]
    written(plant(), folder / "b.csv")
    assert lines(compose, *words) == []


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        ([], "seed=1", "data.seed: is read where something is drawn at random"),
        (["data.split_key=three"], "val_fraction=0.3", "data.val_fraction: is read where no val split is given"),
        (["data.split_key=three"], "seed=1", "data.seed: is read where something is drawn at random"),
        (["data.split_key=two"], "val_fraction=0.3", None),
        (["data.split_key=two"], "seed=1", None),
        (BY_MACHINE, "seed=1", None),
    ],
)
def test_what_auto_makes_of_a_table_says_what_is_read(compose, tmp_path, words, typed, said):
    frame = plant(entities=6, rows=20)
    machine = np.repeat(np.arange(6), 20)
    frame.insert_column(0, frame["machine"].alias("three").replace_strict(split_words(["train", "val", "test"])))
    frame.insert_column(0, frame["machine"].alias("two").replace_strict(split_words(["train", "train", "test"])))
    entity = [] if not words else BY_MACHINE
    path = written(frame if words else frame.filter(machine == 0), tmp_path / "t.csv")
    asked = compose(*TABLE, f"data.path={path}", "data.channels=[a,b]", *entity, *words, f"data.{typed}")
    if said is None:
        load_bundle(asked.data, asked.tasks, asked.typed)
        return
    with pytest.raises(UserError) as error:
        load_bundle(asked.data, asked.tasks, asked.typed)
    assert len(error.value.lines) == 1
    assert error.value.lines[0].startswith(said)


def split_words(words: list[str]) -> dict[str, str]:
    return {f"m{i}": words[i % 3] for i in range(6)}


@pytest.mark.parametrize("typed", ["test_fraction=0.3", "val_fraction=0.3", "seed=1"])
def test_arrays_that_come_divided_draw_nothing(compose, tmp_path, typed):
    rng = np.random.default_rng(0)
    arrays = {f"X_{s}": rng.normal(size=(20, 2, 8)) for s in ("train", "val", "test")}
    arrays |= {f"y_{s}": np.arange(20) % 2 for s in ("train", "val", "test")}
    np.savez(tmp_path / "d.npz", **arrays)
    words = ["data=npz", f"data.path={tmp_path / 'd.npz'}", "data.class_target=y", "task=cls", "model=fc"]
    asked = compose(*words, "data.regression_target=null", f"data.{typed}")
    with pytest.raises(UserError, match=rf"^data\.{typed.partition('=')[0]}: is read where .*\(what decides"):
        load_bundle(asked.data, asked.tasks, asked.typed)


def test_a_setting_of_a_target_that_the_task_has_not_is_warned_of(tsmtl_train, vectors):
    run = ["data=npz", f"data.path={vectors}", "model=fc", "hidden_sizes=[4]", "num_epochs=1", "device=cpu"]
    answer = tsmtl_train(*run, "task=cls", "data.clip_target=[0,9]", "data.class_target=y_cls", "hydra.run.dir=a")
    assert answer.code == 0, answer.err
    assert "data.clip_target: has no effect on task=cls" in answer.err
    answer = tsmtl_train(*run, "task=multi", "data.clip_target=[0,99]", "hydra.run.dir=b")
    assert "has no effect" not in answer.err
