import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsmtl.data.derived import derive, derived_channels
from tsmtl.data.row_space import RowSpace

ENTRIES = [{"ema": 0.3}, {"difference": 2}, {"rolling_mean": 3}, {"rolling_sd": 3}, "age"]
VALUE = st.one_of(st.just(np.nan), st.floats(-1e3, 1e3, width=32))


def plain(kind: str, parameter: float, x: list[float], t: int) -> float:
    """Derive the value of row t from rows 0 ... t of a piece, in the slow way."""
    there = [v for v in x[: t + 1] if not np.isnan(v)]
    if kind == "ema":
        found = np.nan
        for v in there:
            found = v if np.isnan(found) else parameter * v + (1 - parameter) * found
        return found
    if kind == "difference":
        return x[t] - x[max(0, t - int(parameter))]
    recent = [v for v in x[max(0, t + 1 - int(parameter)) : t + 1] if not np.isnan(v)]
    if not recent:
        return np.nan
    return float(np.mean(recent) if kind == "rolling_mean" else np.std(recent))


@st.composite
def pieces(draw):
    """Some pieces of two channels, a few rows of no piece between them, and where their entities begin."""
    start, stop, birth, at = [], [], [], 0
    for before, length in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 7)), min_size=1, max_size=4)):
        birth.append(at if draw(st.booleans()) or not birth else birth[-1])
        start.append(at + before)
        stop.append(at + before + length)
        at += before + length
    n = at + draw(st.integers(0, 1))
    values = draw(st.lists(st.lists(VALUE, min_size=2, max_size=2), min_size=n, max_size=n))
    return np.array(values, dtype=np.float32).reshape(n, 2), np.array(start), np.array(stop), np.array(birth)


@settings(max_examples=80)
@given(pieces())
def test_derived_channels_are_those_of_a_plain_loop_within_each_piece(case):
    values, start, stop, birth = case
    kinds = derived_channels(ENTRIES, ["u", "v"])
    found = derive(values, ["u", "v"], kinds, start, stop, birth, RowSpace())
    expected = np.zeros((len(values), 2 + 4 * 2 + 1))
    expected[:, :2] = values
    for a, b, born in zip(start, stop, birth, strict=True):
        for t in range(b - a):
            derived = [
                plain(kind, value, values[a:b, c].astype(float).tolist(), t)
                for kind, value in (("ema", 0.3), ("difference", 2), ("rolling_mean", 3), ("rolling_sd", 3))
                for c in range(2)
            ]
            expected[a + t, 2:] = [*derived, a + t - born]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-3)


@settings(max_examples=40)
@given(pieces(), st.data())
def test_later_rows_and_other_pieces_change_nothing(case, data):
    values, start, stop, birth = case
    kinds = derived_channels(ENTRIES, ["u", "v"])
    before = derive(values, ["u", "v"], kinds, start, stop, birth, RowSpace())
    piece = data.draw(st.integers(0, len(start) - 1))
    row = data.draw(st.integers(int(start[piece]), int(stop[piece]) - 1))
    changed = values.copy()
    changed[row + 1 :] = -7e5
    changed[: start[piece]] = 3e5
    after = derive(changed, ["u", "v"], kinds, start, stop, birth, RowSpace())
    np.testing.assert_array_equal(after[start[piece] : row + 1], before[start[piece] : row + 1])


def test_a_large_offset_costs_the_rolling_sd_no_digits():
    rng = np.random.default_rng(0)
    noise = rng.integers(-3, 4, 5000).astype(np.float32)
    kinds = derived_channels([{"rolling_sd": 20}], ["u"])
    for offset in (0, 2**20):
        x = noise + np.float32(offset)
        x[:5] += 2**21  # a jump that leaves the window again
        found = derive(x[:, None], ["u"], kinds, np.array([0]), np.array([5000]), np.array([0]), RowSpace())[:, 1]
        wanted = [np.std(noise[t - 19 : t + 1]) for t in range(100, 5000)]
        np.testing.assert_allclose(found[100:], wanted, atol=1e-3)


def test_names_tell_kind_parameter_and_channel():
    kinds = derived_channels(["age", {"ema": 0.05, "of": ["v"]}, {"rolling_sd": 10}], ["u", "v"])
    assert [name for kind in kinds for name in kind.names] == ["age", "v_ema0.05", "u_sd10", "v_sd10"]


def test_an_unknown_channel_is_refused_with_the_nearest_one(refuses):
    with refuses("data.derive: no channel 'presure'", "temperature, pressure", "did you mean 'pressure'?"):
        derived_channels([{"ema": 0.1, "of": ["presure"]}], ["temperature", "pressure"])


@pytest.mark.parametrize(
    ("entries", "channels", "name"),
    [
        ([{"ema": 0.1}, {"ema": 0.1, "of": ["v"]}], ["u", "v"], "v_ema0.1"),
        (["age"], ["u", "age"], "age"),
        ([{"difference": 1}], ["u", "u_diff1"], "u_diff1"),
    ],
)
def test_two_channels_of_one_name_are_refused(refuses, entries, channels, name):
    with refuses(f"data.derive: there would be two channels named '{name}'"):
        derived_channels(entries, channels)
