"""A manifest that is damaged is refused with one line, whichever file it stands in."""

import json

import numpy as np
import polars as pl
import pytest

from tsmtl.data.loading import load_bundle
from tsmtl.data.manifest import MANIFEST, array_sha256

N = 40
BOTH = {"cls": "cls", "reg": "reg"}


@pytest.fixture
def load(tmp_path, settings_of):
    """Write vectors with the manifest that ``change`` makes of the right one, as text, and load them as a run would."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2)).astype(np.float32)
    beside = {"y_cls": np.array(["low", "top"])[np.arange(N) % 2], "y_reg": rng.normal(size=N)}

    def read(ending, change):
        arrays = {"X": x, **beside}
        manifest = {
            **{"format": 1, "method": "summary", "hyperparameters": {}, "seed": 0, "transform_sha256": "0"},
            **{"data_sha256": None, "split_sha256": None, "units": {}, "embed_dim": 2},
            "arrays": {name: array_sha256(array) for name, array in arrays.items()},
            **({"features": ["f0", "f1"]} if ending == "parquet" else {}),
        }
        path, said = tmp_path / f"v.{ending}", change(manifest)
        if ending == "npz":
            np.savez(path, **arrays, **{MANIFEST: np.array(said)})
            return load_bundle(settings_of("npz", path=str(path)), BOTH)
        frame = pl.DataFrame({"f0": x[:, 0], "f1": x[:, 1], **beside})
        frame.write_parquet(path, metadata={MANIFEST: said})
        return load_bundle(settings_of("vectors", path=str(path)), BOTH)

    return read


KEYS = ("format", "method", "hyperparameters", "seed", "embed_dim", "transform_sha256", "data_sha256", "split_sha256")
KEYS += ("units", "arrays")
WRONG = {
    "format": [1.0, True, 0, "1", None],
    "method": [None, 3],
    "hyperparameters": [[], None],
    "units": [[], {"y_reg": 3}],
    "arrays": [[], ["X"], {"X": 3}, None],
    "split_sha256": [3],
}
EACH = [("without", key, None) for key in KEYS] + [
    ("with", key, value) for key, found in WRONG.items() for value in found
]
OF_TABLES = [("without", "features", None)] + [("with", "features", value) for value in ("abc", [], [1, 2], {}, None)]


def changed(manifest, how, key, value):
    rest = {name: said for name, said in manifest.items() if name != key}
    return json.dumps(rest if how == "without" else rest | {key: value})


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_the_manifest_that_is_not_damaged_is_read(load, ending):
    instances = load(ending, json.dumps).instances
    assert instances.facts["representation"]["method"] == "summary"
    assert instances.x.shape == (N, 2)


@pytest.mark.parametrize(("how", "key", "value"), EACH)
@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_a_part_that_is_gone_or_of_another_type_is_refused(load, refuses, ending, how, key, value):
    with refuses(f"v.{ending}: 'tsmtl_manifest' is no manifest of tsmtl-represent; make it anew"):
        load(ending, lambda manifest: changed(manifest, how, key, value))


@pytest.mark.parametrize(("how", "key", "value"), OF_TABLES)
def test_a_table_needs_the_names_of_its_features(load, refuses, how, key, value):
    with refuses("v.parquet: 'tsmtl_manifest' is no manifest of tsmtl-represent; make it anew"):
        load("parquet", lambda manifest: changed(manifest, how, key, value))


@pytest.mark.parametrize("said", ["", "{", "[]", "3", '"text"', "null", "[" * 100_000])
@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_what_is_no_mapping_is_refused(load, refuses, ending, said):
    with refuses(f"v.{ending}: 'tsmtl_manifest' is no manifest of tsmtl-represent; make it anew"):
        load(ending, lambda _: said)


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_a_newer_format_may_hold_anything(load, refuses, ending):
    with refuses(f"v.{ending}: format 2 is newer than this tsmtl reads (1); update tsmtl"):
        load(ending, lambda _: '{"format": 2}')
