"""A folder of .npy files is the same data set as a .npz file of the same arrays, but its input is never read whole."""

import tracemalloc

import numpy as np
import pytest

from tsmtl.data.checks import data_hash
from tsmtl.data.instances import BLOCK
from tsmtl.data.loading import load_bundle
from tsmtl.data.npy_rows import NpyRows
from tsmtl.data.preparation import InputPreparation

BOTH = {"cls": "cls", "reg": "reg"}


@pytest.fixture
def load_folder(tmp_path, settings_of):
    def load(arrays, tasks=BOTH, **changes):
        folder = tmp_path / "arrays"
        folder.mkdir(exist_ok=True)
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        return load_bundle(settings_of("npz", path=str(folder), **changes), tasks)

    return load


def assert_same(ours, theirs):
    assert isinstance(ours.instances.x, NpyRows)
    np.testing.assert_array_equal(ours.instances.x[:], theirs.instances.x)
    assert ours.notes == theirs.notes
    assert ours.instances.channels == theirs.instances.channels
    assert ours.instances.nan_padding == theirs.instances.nan_padding
    for name, rows in theirs.splits.items():
        np.testing.assert_array_equal(ours.splits[name], rows)
    np.testing.assert_array_equal(ours.instances.lengths, theirs.instances.lengths)
    assert data_hash(ours) == data_hash(theirs)
    for scale in ("standard", "minmax"):
        fitted = [
            InputPreparation.fit(b.instances.x, b.instances.lengths, b.splits["train"], scale, "mean").state()
            for b in (ours, theirs)
        ]
        assert fitted[0] == fitted[1]


def vary(arrays, what):
    """Change the arrays in one way; give the settings that go with it."""
    rng = np.random.default_rng(1)
    if what == "nan padding and gaps":
        arrays["X"][3, :, 5:] = np.nan
        arrays["X"][4, 0, 2] = np.nan
    elif what == "lengths":
        arrays["n"] = rng.integers(2, 9, 40)
        return {"lengths_key": "n"}
    elif what == "the same length everywhere":
        arrays["n"] = np.full(40, 5)
        return {"lengths_key": "n"}
    elif what == "vectors, constant feature":
        arrays["X"] = arrays["X"][:, :, 0]
        arrays["X"][:, 1] = 7
    elif what == "names":
        arrays |= {"who": np.repeat(np.arange(10), 4), "c": np.array(["a", "b"]), "k": np.array([b"x", b"y", b"z"])}
        return {"group_key": "who", "channels_key": "c", "class_names_key": "k"}
    elif what in ("float64", "float16", "int16", ">f4"):
        arrays["X"] = (arrays["X"] * 100).astype(what)
    elif what == "beyond one block":
        n = BLOCK + 30
        arrays |= {"X": rng.normal(size=(n, 1, 4)), "y_cls": np.arange(n) % 2, "y_reg": rng.normal(size=n)}
    return {}


KINDS = [
    *("plain", "nan padding and gaps", "lengths", "the same length everywhere", "vectors, constant feature", "names"),
    *("float64", "float16", "int16", ">f4", "beyond one block"),
]


@pytest.mark.parametrize("what", KINDS)
def test_a_folder_gives_what_a_file_gives(arrays, load_arrays, load_folder, what):
    settings = vary(arrays, what)
    assert_same(load_folder(arrays, **settings), load_arrays(arrays, **settings))


def test_a_family_is_joined_without_being_read(arrays, load_arrays, load_folder):
    family = {f"{name}_{s}": a[rows] for name, a in arrays.items() for s, rows in SIZES.items()}
    assert_same(load_folder(family), load_arrays(family))


SIZES = {"train": slice(0, 25), "val": slice(25, 31), "test": slice(31, 40)}


def test_loading_hashing_and_fitting_hold_a_few_blocks_of_the_input(load_folder, monkeypatch):
    monkeypatch.setattr("tsmtl.data.instances.BLOCK_VALUES", 2**16)  # half a MiB in double precision
    n, steps = 3000, 500
    arrays = {"X": np.random.default_rng(0).normal(size=(n, 2, steps)), "y_cls": np.arange(n) % 2}
    assert arrays["X"].nbytes > 22 * 2**20
    load_folder(arrays, {"cls": "cls"})
    del arrays
    tracemalloc.start()
    bundle = load_folder({}, {"cls": "cls"})
    data_hash(bundle)
    InputPreparation.fit(bundle.instances.x, None, bundle.splits["train"], "standard", "mean")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20, f"{peak / 2**20:.1f} MiB"


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"X": np.full((40, 2, 8), "a")}, ["arrays: 'X' has type <U1, no numbers"]),
        ({"X": np.zeros(40)}, ["arrays: 'X' must be series (N, C, T) or vectors (N, E) (got shape (40,))"]),
        ({"X": np.zeros((0, 2, 8))}, ["instances"]),
        ({"X": np.zeros((39, 2, 8))}, ["arrays: 'X' has 39 instances, 'y_cls' (data.class_target) has shape (40,)"]),
        (
            {"X": 1.7e9 + np.arange(640.0).reshape(40, 2, 8) / 1e3},
            ["arrays: 'X' column 0: lies between 1.7e+09 and 1.7", "single precision has steps of 128 there"],
        ),
        ({"X": np.full((40, 2, 8), np.inf)}, ["arrays: instance 0, channel channel_1, time step 0 is infinite"]),
        ({"X": np.zeros((40, 2, 8), dtype=object)}, ["X.npy: an object array, which could run code when read"]),
        ({"y_cls": np.array([{}] * 40)}, ["arrays: 'y_cls' is an object array, which could run code when read"]),
        ({"X_train": np.zeros((4, 2, 8)), "X": None}, ["arrays: no array 'y_cls_train' (data.class_target)"]),
    ],
)
def test_what_is_wrong_is_said_as_for_a_file(arrays, load_folder, refuses, change, parts):
    arrays |= change
    with refuses(*parts):
        load_folder({name: array for name, array in arrays.items() if array is not None})


def test_splits_of_different_shapes_are_refused(arrays, load_folder, refuses):
    with refuses("arrays: the splits of 'X' differ in shape: X_train (9, 2, 8), X_test (9, 2, 7)"):
        load_folder({"X_train": np.zeros((9, 2, 8)), "X_test": np.zeros((9, 2, 7))})


@pytest.mark.parametrize("name", ["X", "y_cls"])
def test_a_file_that_was_cut_off_is_named(arrays, load_folder, refuses, tmp_path, name):
    load_folder(arrays)
    path = tmp_path / "arrays" / f"{name}.npy"
    path.write_bytes(path.read_bytes()[:-5])
    with refuses(name, "cannot be read, the file is damaged ("):
        load_folder({})


def test_a_name_that_is_not_there_gets_the_nearest(arrays, load_folder, refuses):
    with refuses("arrays: no array 'Xs' (data.input_key); it has X, y_cls, y_reg; did you mean 'X'?"):
        load_folder(arrays, input_key="Xs")
