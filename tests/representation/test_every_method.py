"""What every representation promises, whatever it computes."""

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.representation.conftest import small, train_of
from tsmtl.config.representation_settings import REPRESENTATIONS
from tsmtl.representation.registry import METHODS, TRAINED

ALL = sorted(METHODS)


def assert_same(ours: np.ndarray, theirs: np.ndarray, name: str) -> None:
    """To the last bit; a network's, whose sums hang on the size of the batch, to the rounding of float32."""
    if name in TRAINED:
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ALL)
def test_vectors_are_finite_and_have_a_name_for_each_feature(fitted, series, name):
    method = fitted(name, series)
    vectors = method.transform(series)
    assert vectors.shape == (30, len(method.names))
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert len(set(method.names)) == len(method.names)


@pytest.mark.parametrize("name", ALL)
def test_what_stands_beside_a_series_does_not_move_its_vector(fitted, series, name):
    method = fitted(name, series)
    together = method.transform(series)
    assert_same(np.concatenate([method.transform(x[None]) for x in series[:5]]), together[:5], name)
    assert_same(method.transform(series[::-1])[::-1], together, name)


@pytest.mark.parametrize("name", ALL)
def test_the_state_is_the_whole_of_what_was_learnt(fitted, series, name):
    method, again = fitted(name, series, seed=3), small(name)
    again.load_state(method.state())
    np.testing.assert_array_equal(again.transform(series), method.transform(series))
    assert again.names == method.names


@pytest.mark.parametrize("name", ALL)
def test_the_seed_decides_all_that_is_drawn(fitted, series, name):
    first, same, other = (fitted(name, series, seed).transform(series) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert np.array_equal(first, other) == (name in ("summary", "catch22"))  # nothing is drawn there


@pytest.mark.parametrize("name", ALL)
def test_short_and_constant_series_have_vectors_too(fitted, series, name):
    method = fitted(name, series)
    for steps in (method.shortest, 4, 8):
        assert np.isfinite(method.transform(series[:4, :, :steps])).all(), steps
    assert np.isfinite(method.transform(np.full((2, 3, 40), 7, np.float32))).all()


@pytest.mark.parametrize(("name", "steps"), [("minirocket", 8), ("multirocket", 9), ("catch22", 2)])
def test_series_that_are_all_too_short_are_refused(name, steps):
    said = rf"{name} needs series of {steps + 1} time steps or more .*; representation=summary takes any"
    with pytest.raises(ValueError, match=said):
        small(name).fit(train_of(np.zeros((3, 1, steps), np.float32)), 0)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_the_yaml_file_says_the_range_of_each_setting(name):
    lines = (ROOT / "configs" / "representation" / f"{name}.yaml").read_text().splitlines()
    said = {line.partition(":")[0]: line.partition("#")[2] for line in lines if not line.startswith("#")}
    for key, field in REPRESENTATIONS[name].model_fields.items():
        kinds = [field, *getattr(field.annotation, "__args__", ())]  # of Positive | None too
        found = [one for kind in kinds for one in getattr(kind, "metadata", getattr(kind, "__metadata__", ()))]
        for one in [*found, *(inner for outer in found for inner in getattr(outer, "metadata", ()))]:
            for bound in (getattr(one, side, None) for side in ("ge", "gt", "le", "lt")):
                assert bound is None or str(bound) in said[key], (key, bound, said[key])
