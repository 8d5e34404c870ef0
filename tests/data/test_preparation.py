import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tsmtl.data.preparation import InputPreparation, values_of

METHODS = ["none", "standard", "minmax", "per_instance"]
NAN = np.nan


def series(shape, seed=0):
    """Channels of very different mean and sd."""
    x = np.random.default_rng(seed).normal(size=shape)
    factor = 10.0 ** np.arange(shape[1])
    spread = factor.reshape((1, -1) + (1,) * (len(shape) - 2))
    return (x * spread + 3 * spread).astype(np.float32)


def fit(x, method="none", missing="interpolate", lengths=None, rows=None):
    rows = np.arange(len(x)) if rows is None else rows
    return InputPreparation.fit(x, lengths, rows, method, missing)


def as_bytes(preparation):
    return [array.tobytes() for array in (preparation.mean, preparation.shift, preparation.scale)]


@pytest.mark.parametrize(("method", "scaler"), [("standard", StandardScaler()), ("minmax", MinMaxScaler())])
@pytest.mark.parametrize("shape", [(40, 3, 25), (40, 4), (2500, 2, 3)])  # the last fills more than two blocks
def test_scaling_meets_scikit_learn_fitted_on_the_train_rows(method, scaler, shape):
    x = series(shape)
    rows = np.random.default_rng(1).permutation(len(x))[: len(x) * 3 // 4]
    columns = (np.moveaxis(x, 1, -1).reshape(-1, shape[1])).astype(np.float64)
    reference = scaler.fit(np.moveaxis(x[rows], 1, -1).reshape(-1, shape[1]).astype(np.float64))
    got = fit(x, method, rows=rows).apply(x)
    assert got.dtype == np.float32
    assert got.shape == x.shape
    # Both compute in double precision; what is left is the rounding of the result to single.
    np.testing.assert_allclose(
        np.moveaxis(got, 1, -1).reshape(-1, shape[1]), reference.transform(columns), rtol=1e-6, atol=1e-6
    )


def test_scaling_none_leaves_every_value_bit_equal():
    x = series((5, 2, 6))
    np.testing.assert_array_equal(fit(x, "none").apply(x), x)


def test_per_instance_scales_each_series_and_channel_by_itself():
    # By hand: 1 2 3 4 has mean 2.5 and sd sqrt(1.25); 0 0 0 8 has mean 2 and sd sqrt(12).
    x = np.array([[[1, 2, 3, 4], [0, 0, 0, 8]], [[100, 200, 300, 400], [5, 5, 5, 5]]], dtype=np.float32)
    got = fit(x[:1], "per_instance").apply(x)
    steady = np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25)
    np.testing.assert_allclose(got[0, 0], steady, atol=1e-6)
    np.testing.assert_allclose(got[0, 1], np.array([-2, -2, -2, 6]) / np.sqrt(12), atol=1e-6)
    np.testing.assert_allclose(got[1, 0], steady, atol=1e-6)
    np.testing.assert_array_equal(got[1, 1], 0)


def test_per_step_scaling_meets_scikit_learn_over_the_train_instances():
    x = series((1500, 3, 5))  # more than a block
    rows = np.random.default_rng(1).permutation(len(x))[:1200]
    preparation = fit(x, "standard_per_step", rows=rows)
    assert preparation.shift.shape == preparation.scale.shape == (3, 5)
    scaler = StandardScaler().fit(x[rows].reshape(len(rows), -1).astype(np.float64))
    expected = scaler.transform(x.reshape(len(x), -1).astype(np.float64)).reshape(x.shape)
    np.testing.assert_allclose(preparation.apply(x), expected, rtol=1e-6, atol=1e-6)


def test_per_step_scaling_leaves_what_differs_from_the_usual_cycle():
    # By hand: at step 0 the train values 1 and 3 have mean 2 and sd 1, at step 1 30 and 30 mean 30 and no spread.
    x = np.array([[[1, 30]], [[3, 30]], [[5, 31]]], dtype=np.float32)
    got = fit(x, "standard_per_step", rows=np.array([0, 1])).apply(x)
    np.testing.assert_allclose(got[:, 0], [[-1, 0], [1, 0], [3, 1]], atol=1e-7)


def test_per_step_scaling_knows_gaps_only_through_the_channel():
    # Step 0 has no value in train: it is filled from its neighbours, and scaled like the channel, mean 5 and sd 3.
    x = np.array([[[NAN, 2, 8]], [[NAN, 2, 8]]], dtype=np.float32)
    preparation = fit(x, "standard_per_step")
    np.testing.assert_allclose(preparation.shift, [[5, 2, 8]])
    np.testing.assert_allclose(preparation.scale, [[3, 1, 1]])
    np.testing.assert_allclose(preparation.apply(x)[0], [[-1, 0, 0]], atol=1e-7)
    missing = fit(np.array([[[1, NAN]], [[3, 10]]], dtype=np.float32), "standard_per_step")
    np.testing.assert_allclose(missing.shift, [[2, 10]])


def test_per_step_scaling_comes_back_from_its_state():
    x = series((20, 2, 4))
    preparation = fit(x, "standard_per_step")
    again = InputPreparation.from_state(json.loads(json.dumps(preparation.state())))
    assert as_bytes(again) == as_bytes(preparation)
    assert again.seq_len == 4
    assert fit(x, "standard").seq_len is None


def test_minmax_does_not_clip_what_lies_outside_the_train_range():
    x = np.array([[[0.0, 10.0]], [[-5.0, 20.0]]], dtype=np.float32)
    np.testing.assert_allclose(fit(x, "minmax", rows=np.array([0])).apply(x)[1, 0], [-0.5, 2.0], atol=1e-7)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("standard", [[-1, 1, -1, 1], [1.5, -1.5, 1.5, 0]]),
        ("minmax", [[0, 1, 0, 1], [1.5, -1.5, 1.5, 0.5]]),
    ],
)
def test_scaled_values_beyond_the_limit_are_cut_to_it(method, expected):
    # By hand: the train values 0 and 4 have mean 2 and sd 2, and the range 4; 100, -100 and 1e30 are beyond.
    x = np.array([[[0, 4, 0, 4]], [[100, -100, 1e30, 2]]], dtype=np.float32)
    train = np.array([0])
    preparation = InputPreparation.fit(x, None, train, method, "error", 1.5)
    np.testing.assert_allclose(preparation.apply(x)[:, 0], expected, atol=1e-7)
    rows = x[:, 0, :].reshape(-1, 1).copy()  # the same as a recording (R, C)
    preparation.scale_in_place(rows)
    np.testing.assert_allclose(rows[:, 0], np.ravel(expected), atol=1e-7)
    assert as_bytes(preparation) == as_bytes(fit(x, method, rows=train)), "a limit moves no statistic"


def test_a_limit_cuts_series_scaled_by_themselves_and_leaves_padding_at_zero():
    # By hand: 1 2 3 4 has mean 2.5 and sd sqrt(1.25), so that its ends are 1.34 sd away.
    x = np.array([[[1, 2, 3, 4, 9]]], dtype=np.float32)
    preparation = InputPreparation.fit(x, None, np.array([0]), "per_instance", "error", 1.25)
    inner = 0.5 / np.sqrt(1.25)
    np.testing.assert_allclose(preparation.apply(x, np.array([4]))[0, 0], [-1.25, -inner, inner, 1.25, 0], atol=1e-6)


def test_a_limit_comes_back_from_its_state_and_older_states_have_none():
    x = series((5, 2, 6))
    preparation = InputPreparation.fit(x, None, np.arange(5), "standard", "error", 0.5)
    state = json.loads(json.dumps(preparation.state()))
    assert InputPreparation.from_state(state).apply(x).tobytes() == preparation.apply(x).tobytes()
    del state["limit"]
    assert InputPreparation.from_state(state).apply(x).tobytes() == fit(x, "standard").apply(x).tobytes()


@pytest.mark.parametrize("method", ["none", "standard", "standard_per_step", "minmax", "per_instance"])
def test_signed_logarithms_are_scaled_like_any_values(method):
    x = series((40, 3, 6)) - 2
    lengths = np.full(40, 6) if method == "standard_per_step" else np.random.default_rng(2).integers(2, 7, 40)
    rows = np.arange(30)
    logs = np.sign(x) * np.log1p(np.abs(x.astype(np.float64)) / 0.25)
    preparation = InputPreparation.fit(x, lengths, rows, method, "error", signed_log=0.25)
    reference = fit(logs, method, "error", lengths, rows)
    assert as_bytes(preparation) == as_bytes(reference)
    np.testing.assert_allclose(preparation.apply(x, lengths), reference.apply(logs, lengths), rtol=1e-6, atol=1e-6)
    again = InputPreparation.from_state(json.loads(json.dumps(preparation.state())))
    assert again.apply(x, lengths).tobytes() == preparation.apply(x, lengths).tobytes()
    older = preparation.state()
    del older["signed_log"]
    assert InputPreparation.from_state(older).signed_log is None


def test_signed_logarithms_by_hand_on_series_and_on_the_rows_of_a_recording():
    # By hand: with 2 as the turn, 0, 2(e - 1) and -2(e^3 - 1) become 0, 1 and -3, 2e-6 becomes nearly 1e-6.
    values = np.array([0, 2 * (np.e - 1), -2 * (np.e**3 - 1), 2e-6], dtype=np.float32)
    x, expected = values[None, None, :], np.array([0, 1, -3, 1e-6])
    preparation = InputPreparation.fit(x, None, np.array([0]), "none", "error", signed_log=2.0)
    np.testing.assert_allclose(preparation.apply(x)[0, 0], expected, rtol=2e-6)
    rows = values[:, None].copy()
    preparation.scale_in_place(rows)
    np.testing.assert_allclose(rows[:, 0], expected, rtol=2e-6)
    np.testing.assert_allclose(values_of(expected, 2.0), values, rtol=2e-6)


def test_gaps_are_filled_between_logarithms():
    # By hand: half way between log 1 and log 9 is log 3.
    x = np.array([[[0, NAN, 8]], [[NAN, NAN, NAN]]], dtype=np.float32)
    preparation = InputPreparation.fit(x, None, np.array([0]), "none", "interpolate", signed_log=1.0)
    np.testing.assert_allclose(preparation.apply(x)[:, 0], np.log([[1, 3, 9], [3, 3, 3]]), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("junk", [0.0, 1e9, NAN, np.inf])
def test_padding_does_not_enter_the_statistics_and_becomes_zero(method, junk):
    lengths = np.array([3, 6, 1, 4])
    whole = series((4, 2, 6))
    x = whole.copy()
    for row, length in zip(x, lengths, strict=True):
        row[:, length:] = junk
    preparation = fit(x, method, lengths=lengths)
    valid = [np.concatenate([r[c, :n] for r, n in zip(whole, lengths, strict=True)]).astype(float) for c in (0, 1)]
    np.testing.assert_allclose(preparation.mean, [v.mean() for v in valid], rtol=1e-12)
    if method == "standard":
        np.testing.assert_allclose(preparation.scale, [v.std() for v in valid], rtol=1e-12)
    if method == "minmax":
        np.testing.assert_allclose(preparation.scale, [np.ptp(v) for v in valid], rtol=1e-12)
    got = preparation.apply(x, lengths)
    for row, (prepared, length) in enumerate(zip(got, lengths, strict=True)):
        np.testing.assert_array_equal(prepared[:, length:], 0)
        alone = preparation.apply(whole[row : row + 1, :, :length])[0]
        np.testing.assert_array_equal(prepared[:, :length], alone)


def test_gaps_are_filled_along_a_line_and_with_the_nearest_value_at_the_ends():
    x = np.array([[[NAN, 1, NAN, NAN, 4, NAN], [2, 2, NAN, 6, NAN, NAN]]], dtype=np.float32)
    np.testing.assert_allclose(fit(x).apply(x)[0], [[1, 1, 2, 3, 4, 4], [2, 2, 4, 6, 6, 6]], rtol=1e-6)


def test_gaps_are_filled_up_to_the_end_of_the_series_and_not_from_its_padding():
    x = np.array([[[1, NAN, 3, NAN, 9, 9]]], dtype=np.float32)
    lengths = np.array([4])
    np.testing.assert_array_equal(fit(x, lengths=lengths).apply(x, lengths)[0], [[1, 2, 3, 3, 0, 0]])


def test_a_channel_missing_for_a_whole_series_gets_the_train_mean():
    x = np.array([[[1, 3]], [[5, 7]], [[NAN, NAN]], [[90, 90]]], dtype=np.float32)
    np.testing.assert_array_equal(fit(x, rows=np.array([0, 1, 2])).apply(x)[2], [[4, 4]])


def test_filling_by_mean_takes_the_train_mean_of_the_known_values():
    x = np.array([[[1, NAN, 3]], [[NAN, 8, NAN]], [[100, 100, NAN]]], dtype=np.float32)
    got = fit(x, missing="mean", rows=np.array([0, 1])).apply(x)  # (1 + 3 + 8) / 3 = 4
    np.testing.assert_array_equal(got[:, 0], [[1, 4, 3], [4, 8, 4], [100, 100, 4]])


def test_vectors_are_filled_with_the_mean_because_features_have_no_neighbours():
    x = np.array([[1, NAN, 3], [5, 10, NAN], [3, 20, 5]], dtype=np.float32)
    np.testing.assert_array_equal(fit(x, missing="interpolate").apply(x), [[1, 15, 3], [5, 10, 4], [3, 20, 5]])


def test_missing_values_do_not_enter_the_statistics_and_are_filled_before_scaling():
    x = np.array([[[0, NAN, 4]], [[2, 2, NAN]]], dtype=np.float32)
    preparation = fit(x, "standard")  # known: 0 4 2 2, mean 2, sd sqrt(2)
    assert preparation.shift == pytest.approx([2])
    assert preparation.scale == pytest.approx([np.sqrt(2)])
    np.testing.assert_allclose(preparation.apply(x)[:, 0], np.array([[-2, 0, 2], [0, 0, 0]]) / np.sqrt(2), atol=1e-6)


def test_per_instance_counts_filled_gaps_as_values():
    x = np.array([[[1, NAN, 3, 4]]], dtype=np.float32)
    got = fit(x, "per_instance").apply(x)
    np.testing.assert_allclose(got[0, 0], np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25), atol=1e-6)


@pytest.mark.parametrize("method", ["standard", "minmax"])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e-30])
def test_a_constant_channel_is_shifted_and_never_blown_up(method, value):
    x = np.full((3000, 2, 3), value, dtype=np.float32)
    x[:, 1] = series((3000, 1, 3))[:, 0]
    preparation = fit(x, method)
    assert preparation.scale[0] == 1
    np.testing.assert_allclose(preparation.apply(x)[:, 0], 0, atol=1e-6)
    other = preparation.apply(x[:1] + np.float32(2))
    np.testing.assert_allclose(other[0, 0], 2, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_series_is_zero_under_per_instance(value):
    x = np.full((2, 1, 7), value, dtype=np.float32)
    np.testing.assert_allclose(fit(x, "per_instance").apply(x), 0, atol=1e-6)


@pytest.mark.parametrize("method", ["standard", "minmax"])
@pytest.mark.parametrize("offset", [1e6, -1e6])
def test_small_noise_on_a_large_offset_keeps_its_precision(method, offset):
    # Single precision holds 1e6 in steps of 1/16. Sums of squares would lose four digits of the sd even in double.
    x = (offset + np.random.default_rng(0).normal(size=(300, 1, 50))).astype(np.float32)
    exact = x.astype(np.float64)
    preparation = fit(x, method)
    scale = exact.std() if method == "standard" else np.ptp(exact)
    shift = exact.mean() if method == "standard" else exact.min()
    assert preparation.scale[0] == pytest.approx(scale, rel=1e-9)
    np.testing.assert_allclose(preparation.apply(x), (exact - shift) / scale, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("missing", ["interpolate", "mean"])
@given(value=st.sampled_from([0.0, NAN, 1e30, -7.0]), seed=st.integers(0, 99))
def test_val_and_test_statistics_never_move_the_scaler(method, missing, value, seed):
    rng = np.random.default_rng(seed)
    x, lengths = series((30, 2, 6), seed), rng.integers(1, 7, 30)
    train, rest = np.split(rng.permutation(30), [20])
    changed, changed_lengths = x.copy(), lengths.copy()
    changed[rest] = value
    changed_lengths[rest] = 6
    first = fit(x, method, missing, lengths, train)
    second = fit(changed, method, missing, changed_lengths, train)
    assert as_bytes(first) == as_bytes(second)
    assert first.apply(x[train], lengths[train]).tobytes() == second.apply(changed[train], lengths[train]).tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_the_state_survives_json_bit_by_bit(method):
    x = series((50, 3, 7))
    x[3, 1, 2:4] = NAN
    preparation = fit(x, method, "mean")
    again = InputPreparation.from_state(json.loads(json.dumps(preparation.state())))
    assert (again.method, again.missing) == (method, "mean")
    assert as_bytes(again) == as_bytes(preparation)
    assert again.apply(x).tobytes() == preparation.apply(x).tobytes()


def test_applying_leaves_the_input_as_it_was():
    x = series((4, 2, 5))
    x[1, 0, 2] = NAN
    before = x.copy()
    fit(x, "standard").apply(x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("method", METHODS)
def test_how_many_instances_are_worked_on_at_a_time_changes_no_bit(monkeypatch, method):
    x = np.random.default_rng(0).normal(size=(50, 3, 20)).astype(np.float32)
    preparation = fit(x, method)
    one = preparation.apply(x)
    monkeypatch.setattr("tsmtl.data.preparation.IN_CACHE", 7 * 60)
    np.testing.assert_array_equal(preparation.apply(x), one)


def log_of(value: float, turn: float | None) -> float:
    return value if turn is None else np.sign(value) * np.log1p(np.abs(value) / turn)


def plainly_prepared(p: InputPreparation, series: np.ndarray, length: int, vector: bool) -> np.ndarray:
    """Prepare an instance (C, T) by the formulas, a value at a time but for sums, whose order is NumPy's over all T."""
    out = np.zeros(series.shape, dtype=np.float32)
    for c, raw in enumerate(series.astype(np.float64)):
        values = np.array([log_of(value, p.signed_log) for value in raw])
        known = [t for t in range(length) if not np.isnan(values[t])]
        for t in set(range(length)) - set(known):
            line = p.missing == "interpolate" and known and not vector
            values[t] = np.interp(t, known, values[known]) if line else p.mean[c]
        if p.method == "per_instance":
            inside = np.arange(len(values)) < length
            kept = np.where(inside, values, 0.0)
            mean = kept.sum() / length
            sd = np.sqrt((inside * (kept - mean) ** 2).sum() / length)
            shift, scale = np.full(len(raw), mean), sd if sd > 1e-12 * max(abs(mean), 1e-300) else 1.0
        else:
            shift, scale = np.broadcast_to(p.shift[c], len(raw)), p.scale[c]
        scale = np.broadcast_to(scale, len(raw))
        for t in range(length):
            scaled = (values[t] - shift[t]) / scale[t]
            out[c, t] = scaled if p.limit is None else min(max(scaled, -p.limit), p.limit)
    return out


@pytest.mark.parametrize(
    ("kind", "method"),
    [*((kind, method) for kind in ("series", "lengths", "vectors") for method in METHODS)]
    + [(kind, "standard_per_step") for kind in ("series", "lengths")],  # a vector has no steps
)
@pytest.mark.parametrize("missing", ["interpolate", "mean"])
@pytest.mark.parametrize(("limit", "signed_log"), [(None, None), (0.75, None), (None, 0.25), (0.75, 0.25)])
def test_preparing_gives_the_bits_of_the_formulas(kind, method, missing, limit, signed_log, monkeypatch):
    monkeypatch.setattr("tsmtl.data.preparation.IN_CACHE", 100)  # several blocks, the last one short
    rng = np.random.default_rng(3)
    x = series((20, 3, 13) if kind != "vectors" else (20, 13)) - np.float32(2)
    x[rng.random(x.shape) < 0.2] = NAN
    x[4, 1] = NAN
    x[5, 2] = 7
    lengths = rng.integers(4, 14, 20) if kind == "lengths" else None
    preparation = InputPreparation.fit(x, lengths, np.arange(15), method, missing, limit, signed_log)
    before = x.tobytes()
    each = [
        plainly_prepared(preparation, row.reshape(len(row), -1), n, kind == "vectors").reshape(row.shape)
        for row, n in zip(x, lengths if lengths is not None else [x[0, 0].size] * 20, strict=True)
    ]
    expected = np.stack(each).tobytes()
    assert preparation.apply(x, lengths).tobytes() == expected
    room = np.full_like(x, 99)
    assert preparation.apply(x, lengths, out=room) is room
    assert room.tobytes() == expected
    assert x.tobytes() == before
    preparation.apply_in_place(x, lengths)
    assert x.tobytes() == expected
