from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from aeon.datasets import load_from_ts_file

from tsmtl.data.loading import load_bundle
from tsmtl.data.ts import load_ts, pad, read_ts, ts_files

ARCHIVE = Path(str(files("aeon"))) / "datasets" / "data"
CLASS_SETS = ["ArrowHead", "BasicMotions", "Covid3Month_disc", "JapaneseVowels", "PickupGestureWiimoteZ", "UnitTest"]
NUMBER_SETS = ["CardanoSentiment", "Covid3Month"]
HEADER = """@problemName tiny
@timeStamps false
@univariate false
@dimensions 2
@equalLength true
@seriesLength 3
@classLabel true Sit Stand
@data
"""
BODY = """1,2,3:4,5,6:Sit
7,8,9:1.5,-2.5,3e2:Stand
"""
TARGETS = HEADER.replace("@classLabel true Sit Stand", "@targetLabel true")


@pytest.fixture
def write(tmp_path):
    def to_file(text, name="tiny.ts"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return to_file


def archive_pair(name):
    return [ARCHIVE / name / f"{name}_{part}.ts" for part in ("TRAIN", "TEST")]


def labels_in_text(path):
    """Give the labels as they stand in the file: what follows the last colon of a line of data."""
    body = path.read_text(encoding="utf-8").partition("@data")[2]
    return [line.rpartition(":")[2].strip() for line in body.splitlines() if line.strip()]


@pytest.mark.parametrize("name", CLASS_SETS + NUMBER_SETS)
def test_archive_series_are_bit_equal_to_those_of_aeon(name, settings_of):
    pair = archive_pair(name)
    kind = "cls" if name in CLASS_SETS else "reg"
    instances = load_ts(settings_of("ts", path=str(pair[0])), {kind: kind})
    reference = [series for path in pair for series in load_from_ts_file(str(path))[0]]
    steps = {series.shape[1] for series in reference}
    assert instances.x.shape == (len(reference), len(reference[0]), max(steps))
    assert (instances.lengths is None) == (len(steps) == 1)
    for i, series in enumerate(reference):
        length = series.shape[1]
        assert instances.lengths is None or instances.lengths[i] == length
        np.testing.assert_array_equal(instances.x[i, :, :length], series.astype(np.float32))
        np.testing.assert_array_equal(instances.x[i, :, length:], 0)


@pytest.mark.parametrize("name", CLASS_SETS)
def test_archive_classes_are_those_of_aeon_in_the_case_of_the_file(name, settings_of):
    pair = archive_pair(name)
    target = load_ts(settings_of("ts", path=str(pair[0])), {"cls": "cls"}).targets["cls"]
    ours = [target.names[i] for i in target.ids]
    assert ours == [label for path in pair for label in labels_in_text(path)]
    assert [label.lower() for label in ours] == [y for path in pair for y in load_from_ts_file(str(path))[1]]


@pytest.mark.parametrize("name", NUMBER_SETS)
def test_archive_numbers_are_those_of_aeon(name, settings_of):
    pair = archive_pair(name)
    target = load_ts(settings_of("ts", path=str(pair[0])), {"reg": "reg"}).targets["reg"]
    reference = np.concatenate([load_from_ts_file(str(path))[1] for path in pair])
    np.testing.assert_array_equal(target.values, reference.astype(np.float32)[:, None])


def test_archive_series_with_time_stamps_are_those_of_aeon():
    path = ARCHIVE / "UnitTest" / "UnitTestTimeStamps_TRAIN.ts"
    x, y = load_from_ts_file(str(path))
    content = read_ts(path)
    np.testing.assert_array_equal(np.stack(content.series), x.astype(np.float32))
    assert content.labels == y.tolist()


@pytest.mark.parametrize(
    "path", ["{0}/Set", "{0}/Set.ts", "{0}/Set_TRAIN.ts", "{0}/Set_TEST.ts", "{0}/Set_TRAIN", "{0}"]
)
def test_the_pair_is_found_from_its_name_from_each_file_and_from_its_folder(tmp_path, settings_of, path):
    folder = tmp_path / "Set"
    folder.mkdir()
    pair = [folder / "Set_TRAIN.ts", folder / "Set_TEST.ts"]
    pair[0].write_text(HEADER + BODY * 5)
    pair[1].write_text(HEADER + BODY * 2)
    assert ts_files(path.format(folder)) == pair
    bundle = load_bundle(settings_of("ts", path=path.format(folder)), {"cls": "cls"})
    assert bundle.splits["test"].tolist() == [10, 11, 12, 13]
    assert sorted([*bundle.splits["train"], *bundle.splits["val"]]) == list(range(10))
    assert bundle.instances.where == str(pair[0])


@pytest.mark.parametrize("name", ["alone.ts", "alone_TRAIN.ts"])
def test_a_file_without_its_pair_is_split_at_random(write, settings_of, name):
    path = write(HEADER + BODY * 20, name)
    bundle = load_bundle(settings_of("ts", path=str(path)), {"cls": "cls"})
    assert {split: len(rows) for split, rows in bundle.splits.items()} == {"train": 26, "val": 6, "test": 8}
    assert np.bincount(bundle.instances.targets["cls"].ids[bundle.splits["test"]]).tolist() == [4, 4]


@pytest.mark.parametrize(
    "text",
    [
        HEADER + BODY,
        (HEADER + BODY).replace("\n", "\r\n"),
        (HEADER + BODY).replace("\n", "\r"),
        b"\xef\xbb\xbf" + (HEADER + BODY).encode(),
        "# a comment\n% and another\n" + HEADER + "# among the data\n" + BODY + "% behind them\n",
        "# of two\u2028lines, \x85 and a \x0c page\n" + HEADER + BODY,
        "\n\n" + HEADER.replace("\n", "\n\n") + "  \n" + BODY.replace("\n", "\n\n"),
        HEADER.replace("@", "  @") + "  " + BODY.replace(",", " , ").replace(":", " : "),
        HEADER.upper().replace("SIT STAND", "Sit Stand") + BODY.rstrip("\n"),
        HEADER.replace("@dimensions", "@dimension") + BODY,
        HEADER.replace("@dimensions 2\n", "").replace("@seriesLength 3\n", "@author A. Nonymous\n") + BODY,
    ],
    ids=["plain", "crlf", "cr", "bom", "comments", "separators", "blank", "spaces", "upper", "dimension", "sparse"],
)
def test_one_content_is_read_from_every_way_to_write_it(write, text):
    content = read_ts(write(text))
    expected = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [1.5, -2.5, 300]]]
    np.testing.assert_array_equal(np.stack(content.series), np.array(expected, dtype=np.float32))
    assert content.labels == ["Sit", "Stand"]
    assert (content.kind, content.class_names) == ("cls", ["Sit", "Stand"])


@pytest.mark.parametrize("gap", ["?", " ? ", "NaN"])
def test_a_question_mark_is_a_missing_value(write, gap):
    content = read_ts(write(HEADER + f"1,{gap},3:{gap},5,6:Sit\n"))
    np.testing.assert_array_equal(content.series[0], np.array([[1, np.nan, 3], [np.nan, 5, 6]], dtype=np.float32))


def test_a_question_mark_is_a_missing_class_or_number(write, settings_of):
    rows = "1,2,3:4,5,6:{}\n"
    path = write(HEADER + rows.format("Stand") + rows.format("?") + rows.format("Sit"))
    target = load_ts(settings_of("ts", path=str(path)), {"cls": "cls"}).targets["cls"]
    assert target.ids.tolist() == [1, -1, 0]
    assert target.names == ["Sit", "Stand"]
    path = write(TARGETS + rows.format("-1.5e1") + rows.format("?"))
    target = load_ts(settings_of("ts", path=str(path)), {"reg": "reg"}).targets["reg"]
    np.testing.assert_array_equal(target.values, np.array([[-15], [np.nan]], dtype=np.float32))


@pytest.mark.parametrize(
    "row",
    [
        "(0,1),(1,2),(2,3):(0,4),(1,5),(2,6):Sit",
        "(2007-01-01 00:00:00,1),(2007-01-01 00:01:00,2),(2007-01-01 00:02:00,3):(0:0,4),(0:1,5),(0:2,6):Sit",
        "(0, 1), (1, 2), (2, 3) : (0, 4), (1, 5), (2, 6) : Sit",
    ],
)
def test_time_stamps_are_left_out(write, row):
    content = read_ts(write(HEADER.replace("@timeStamps false", "@timeStamps true") + row))
    np.testing.assert_array_equal(content.series[0], [[1, 2, 3], [4, 5, 6]])
    assert content.labels == ["Sit"]


def test_series_of_different_lengths_are_padded_with_zeros(write, settings_of):
    header = HEADER.replace("@equalLength true\n@seriesLength 3", "@equalLength false")
    path = write(header + "1,2,3:4,5,6:Sit\n7:8:Stand\n1,2:3,4:Sit\n")
    instances = load_ts(settings_of("ts", path=str(path)), {"cls": "cls"})
    assert instances.lengths.tolist() == [3, 1, 2]
    np.testing.assert_array_equal(instances.x[1], [[7, 0, 0], [8, 0, 0]])


def test_equal_series_have_no_lengths():
    x, lengths = pad([np.ones((2, 3), np.float32)] * 2)
    assert x.shape == (2, 2, 3)
    assert lengths is None


def test_classes_keep_the_order_of_both_headers(tmp_path, settings_of):
    (tmp_path / "a_TRAIN.ts").write_text(HEADER.replace("Sit Stand", "Stand Sit") + BODY)
    (tmp_path / "a_TEST.ts").write_text(HEADER.replace("Sit Stand", "Walk Sit") + "1,2,3:4,5,6:Walk\n")
    target = load_ts(settings_of("ts", path=str(tmp_path / "a")), {"cls": "cls"}).targets["cls"]
    assert target.names == ["Stand", "Sit", "Walk"]
    assert target.ids.tolist() == [1, 0, 2]


REFUSED = {
    "no @data": ("".join(HEADER.splitlines(keepends=True)[:-1]), ["tiny.ts: no line @data"]),
    "values before @data": (HEADER.replace("@data\n", "") + BODY, ["tiny.ts: line 8: expected a header tag", "1,2,3:"]),
    "nothing behind @data": (HEADER + "\n# nothing\n", ["tiny.ts: no instance behind @data"]),
    "an empty file": ("", ["tiny.ts: no line @data"]),
    "text in a number": (
        HEADER + BODY + "1,2,3:4,five,6:Sit\n",
        ["tiny.ts: line 11, channel 2: 'five' is not a number; a missing value is ?"],
    ),
    "two numbers without a comma": (HEADER + "1,2,3:4,5 6,7:Sit\n", ["line 9, channel 2: '5 6' is not a number"]),
    "a comma too many": (HEADER + "1,2,3,:4,5,6:Sit\n", ["tiny.ts: line 9, channel 1: '' is not a number"]),
    "an empty channel": (HEADER + "1,2,3::Sit\n", ["tiny.ts: line 9, channel 2: '' is not a number"]),
    "text between time stamps": (
        HEADER.replace("@timeStamps false", "@timeStamps true") + "(0,1),oops,(2,3):(0,4),(1,5),(2,6):Sit",
        ["tiny.ts: line 9, channel 1: 'oops' is not a number"],
    ),
    "a class that was not declared": (
        HEADER + BODY + "1,2,3:4,5,6:sit\n",
        ["tiny.ts: line 11: class 'sit' is not among those of the header (Sit, Stand)"],
    ),
    "a last line cut off in its values": (
        HEADER + BODY + "1,2,3:4,5",
        ["tiny.ts: line 11: 2 parts between colons, expected 2 channels and a label; was the line cut off?"],
    ),
    "a last line cut off in its label": (HEADER + BODY + "1,2,3:4,5,6:Sta", ["tiny.ts: line 11: class 'Sta' is not"]),
    "a last line cut off before its label": (HEADER + BODY + "1,2,3:4,5,6:", ["tiny.ts: line 11: class '' is not"]),
    "ragged channels": (
        HEADER + "1,2,3:4,5:Sit\n",
        ["tiny.ts: line 9: the channels have different lengths (2, 3)"],
    ),
    "a channel too many": (
        HEADER + "1,2,3:4,5,6:7,8,9:Sit\n",
        ["tiny.ts: line 9: 4 parts between colons, expected 2 channels and a label"],
    ),
    "two channels in a univariate file": (
        HEADER.replace("@univariate false\n@dimensions 2", "@univariate true") + BODY,
        ["tiny.ts: line 8: 3 parts between colons, expected 1 channels and a label"],
    ),
    "another number of channels than the line before": (
        HEADER.replace("@dimensions 2\n", "") + BODY + "1,2,3:Sit\n",
        ["tiny.ts: line 10: 2 parts between colons, expected 2 channels"],
    ),
    "another length than the header's": (
        HEADER + BODY + "1,2:3,4:Sit\n",
        ["tiny.ts: line 11: 2 time steps, but the header says that all have 3"],
    ),
    "another length than the line before": (
        HEADER.replace("@seriesLength 3\n", "") + "1,2:3,4:Sit\n" + BODY,
        ["tiny.ts: line 9: 3 time steps, but the header says that all have 2"],
    ),
    "a target that is no number": (
        TARGETS + "1,2,3:4,5,6:0.5\n1,2,3:4,5,6:high\n",
        ["tiny.ts: line 10: the target 'high' is not a number"],
    ),
    "an empty target": (TARGETS + "1,2,3:4,5,6:\n", ["tiny.ts: line 9: the target '' is not a number"]),
    "an infinite target": (TARGETS + "1,2,3:4,5,6:-inf\n", ["tiny.ts: line 9: the target '-inf' is infinite"]),
    "a target too large": (
        TARGETS + "1,2,3:4,5,6:1e39\n",
        ["tiny.ts: line 9: the target '1e39' is infinite in single precision; a missing number is ?"],
    ),
    "a tag that is neither true nor false": (
        HEADER.replace("@equalLength true", "@equalLength maybe") + BODY,
        ["tiny.ts: line 5: @equalLength must be true or false (got 'maybe')"],
    ),
    "a tag without a value": (
        HEADER.replace("@classLabel true Sit Stand", "@classLabel") + BODY,
        ["tiny.ts: line 7: @classLabel must be true or false (got '')"],
    ),
    "class labels without names": (
        HEADER.replace("@classLabel true Sit Stand", "@classLabel true") + BODY,
        ["tiny.ts: line 7: @classLabel true needs the names of the classes"],
    ),
    "a dimension that is no whole number": (
        HEADER.replace("@dimensions 2", "@dimensions two") + BODY,
        ["tiny.ts: line 4: @dimensions must be a whole number (got 'two')"],
    ),
    "bytes that are no text": (HEADER.encode() + b"\xff\xfe\x00", ["tiny.ts: not a readable text file ("]),
}


@pytest.mark.parametrize(("text", "parts"), REFUSED.values(), ids=REFUSED)
def test_a_damaged_file_is_refused_with_its_line(write, refuses, text, parts):
    with refuses(*parts):
        read_ts(write(text))


MULTI = {"cls": "cls", "reg": "reg"}
UNLABELLED = HEADER.replace("@classLabel true Sit Stand", "@classLabel false") + "1,2,3:4,5,6\n"


@pytest.mark.parametrize(
    ("text", "tasks", "said"),
    [
        (HEADER + BODY, {"reg": "reg"}, "a class and no number per instance, task=reg needs a number; take task=cls"),
        (HEADER + BODY, MULTI, "a class and no number per instance, task=multi needs a number; take task=cls"),
        (
            TARGETS + "1,2,3:4,5,6:1\n",
            {"cls": "cls"},
            "a number and no class per instance, task=cls needs a class; take task=reg",
        ),
        (
            TARGETS + "1,2,3:4,5,6:1\n",
            MULTI,
            "a number and no class per instance, task=multi needs a class; take task=reg",
        ),
        (UNLABELLED, {"cls": "cls"}, "no label per instance, task=cls needs a class"),
    ],
)
def test_a_file_without_the_label_of_the_task_names_the_task_that_fits(write, settings_of, refuses, text, tasks, said):
    path = write(text)
    with refuses(f"{path}: has {said}"):
        load_ts(settings_of("ts", path=str(path)), tasks)


@pytest.mark.parametrize(
    ("test_text", "said"),
    [
        (TARGETS + "1,2,3:4,5,6:1\n", "its labels are of another kind than those of"),
        (HEADER.replace("@dimensions 2\n", "") + "1,2,3:Sit\n", "1 channels,"),
    ],
)
def test_a_pair_that_does_not_match_is_refused(write, settings_of, refuses, test_text, said):
    train, test = write(HEADER + BODY, "a_TRAIN.ts"), write(test_text, "a_TEST.ts")
    with refuses(f"{test}: {said}", str(train)):
        load_ts(settings_of("ts", path=str(train)), {"cls": "cls"})


def test_an_infinite_value_is_refused_when_the_data_are_checked(write, settings_of, refuses):
    path = write(HEADER + BODY * 20 + "1,2,3:4,inf,6:Sit\n")
    with refuses(f"{path}: instance 40, channel channel_2, time step 1 is infinite"):
        load_bundle(settings_of("ts", path=str(path)), {"cls": "cls"})


@pytest.mark.parametrize("name", ["absent", "absent.ts", "absent_TRAIN.ts"])
def test_a_name_without_files_is_refused(tmp_path, settings_of, refuses, name):
    with refuses(f"data.path: there is no file {tmp_path / name}"):
        load_ts(settings_of("ts", path=str(tmp_path / name)), {"cls": "cls"})


def test_a_folder_without_its_pair_is_refused(tmp_path, settings_of, refuses):
    with refuses(f"data.path: {tmp_path} is a folder, not a file"):
        load_ts(settings_of("ts", path=str(tmp_path)), {"cls": "cls"})
