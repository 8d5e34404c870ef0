"""A .ts file comes instance by instance; labels are read only where they are wanted."""

import tracemalloc

import numpy as np
import pytest

from tests.data.test_stream_npz import contract
from tsmtl.data.stream import Request, WantedTarget
from tsmtl.data.stream_ts import stream_ts
from tsmtl.data.ts import read_ts

HEADER = "@dimensions 2\n@classLabel true walk run\n@data\n"
BODY = "1,2:3,4:walk\n5:?:run\n6,7,8:9,0,1:?\n"


def request(path, size=2, *targets):
    return Request(path, contract(2), size, targets=list(targets))


def test_the_blocks_are_the_series_of_the_whole_file(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text(HEADER + BODY)
    blocks = list(stream_ts(request(path)).blocks)
    assert [list(b.names) for b in blocks] == [[0, 1], [2]]
    for got, expected in zip([s for b in blocks for s in b.x], read_ts(path).series, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_classes_and_numbers_are_given_where_they_are_wanted(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text(HEADER + BODY)
    blocks = stream_ts(request(path, 2, WantedTarget("cls", "cls", "class", "data.class_target"))).blocks
    assert [v for b in blocks for v in b.targets["cls"].tolist()] == ["walk", "run", ""]
    path.write_text(HEADER.replace("@classLabel true walk run", "@targetLabel true") + "1:2:0.5\n3:4:?\n")
    blocks = stream_ts(request(path, 2, WantedTarget("reg", "reg", "target", "data.regression_target"))).blocks
    np.testing.assert_array_equal(next(blocks).targets["reg"], np.array([[0.5], [np.nan]], dtype=np.float32))


@pytest.mark.parametrize("label", [":sprint", ":", ":?", ""])
def test_a_label_that_nobody_asks_for_may_be_anything(tmp_path, label):
    path = tmp_path / "a.ts"
    path.write_text(HEADER + f"1,2:3,4{label}\n")
    (block,) = stream_ts(request(path)).blocks
    np.testing.assert_array_equal(block.x[0], [[1, 2], [3, 4]])


def test_a_line_that_was_cut_off_is_refused_without_labels_too(tmp_path, refuses):
    path = tmp_path / "a.ts"
    path.write_text(HEADER + BODY + "1,2\n")
    with refuses(f"{path}: line 7: 1 parts between colons, expected 2 channels"):
        list(stream_ts(request(path)).blocks)


def test_memory_is_that_of_a_block(tmp_path):
    path = tmp_path / "a.ts"
    line = ",".join(["1.5"] * 500) + ":" + ",".join(["2.5"] * 500) + ":walk\n"
    path.write_text(HEADER + line * 2000)  # 8 MB
    tracemalloc.start()
    n = sum(len(block.x) for block in stream_ts(request(path, 8)).blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 2000
    assert peak < 2**19
