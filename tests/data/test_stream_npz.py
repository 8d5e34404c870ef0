"""A .npz file comes in blocks, whatever its type, order and compression, and never as a whole."""

import tracemalloc

import numpy as np
import pytest

from tsmtl.data.contract import InputContract
from tsmtl.data.stream import Request, WantedTarget
from tsmtl.data.stream_npz import stream_npz


def contract(c, kind="series", **changes):
    said = {"seq_len": None, "nan_padding": False, "missing": "mean", "takes_lengths": True, "shortest": 1}
    return InputContract(kind, [f"c{i}" for i in range(c)], **(said | changes))


X = np.random.default_rng(0).normal(size=(10, 3, 5))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "i2", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("size", [1, 4, 10, 99])
def test_the_blocks_are_the_array(tmp_path, save, dtype, order, size):
    x = np.asarray(X * 3, dtype=dtype, order=order)
    save(tmp_path / "a.npz", X=x, lengths=np.arange(10) % 5 + 1)
    stream = stream_npz(Request(tmp_path / "a.npz", contract(3), size, "X", "lengths"))
    assert stream.total == 10
    blocks = list(stream.blocks)
    assert [len(b.x) for b in blocks] == [min(size, 10 - start) for start in range(0, 10, size)]
    np.testing.assert_array_equal(np.concatenate([b.x for b in blocks]), x)
    assert [name for b in blocks for name in b.names] == list(range(10))
    assert np.concatenate([b.lengths for b in blocks]).tolist() == [i % 5 + 1 for i in range(10)]


def test_memory_is_that_of_a_block(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", X=np.zeros((4096, 4, 1024), dtype=np.float32))  # 64 MiB
    stream = stream_npz(Request(tmp_path / "a.npz", contract(4), 16, "X"))
    tracemalloc.start()
    n = sum(len(block.x) for block in stream.blocks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 4096
    assert peak < 2 * 2**20  # a block is 256 KiB


def test_targets_come_beside_their_instances(tmp_path):
    y = np.array([f"k{i % 3}" for i in range(10)])
    np.savez(tmp_path / "a.npz", X=X, y=y, z=np.arange(10), w=np.arange(20).reshape(10, 2))
    wanted = [
        WantedTarget("cls", "cls", "y", "data.class_target"),
        WantedTarget("reg", "reg", "w", "data.regression_target", size=2),
    ]
    blocks = list(stream_npz(Request(tmp_path / "a.npz", contract(3), 4, targets=wanted, input_key="X")).blocks)
    assert [v for b in blocks for v in b.targets["cls"].tolist()] == y.tolist()
    np.testing.assert_array_equal(
        np.concatenate([b.targets["reg"] for b in blocks]), np.arange(20, dtype=np.float32).reshape(10, 2)
    )


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (("cls", "x2", 1), "'x2' must have one class per instance, shape (N,) (got float64 of shape (10, 3, 5))"),
        (("reg", "y", 1), "'y' must hold one number per instance (got <U1 of shape (10,))"),
        (("reg", "z", 2), "'z' must hold 2 numbers per instance (got int64 of shape (10,))"),
        (("reg", "short", 1), "'X' has 10 instances, 'short' (data.t) has shape (9,); both need one row per instance"),
    ],
)
def test_a_target_of_another_form_is_refused(tmp_path, refuses, target, said):
    np.savez(tmp_path / "a.npz", X=X, x2=X, y=np.array(["a"] * 10), z=np.arange(10), short=np.arange(9))
    kind, key, size = target
    wanted = [WantedTarget(kind, kind, key, "data.t", size)]
    with refuses(f"{tmp_path / 'a.npz'}: {said}"):
        stream_npz(Request(tmp_path / "a.npz", contract(3), 4, "X", targets=wanted))
