"""Masked reconstruction: what is hidden, what is asked for, and what the encoder looks at."""

import numpy as np
import pytest
import torch

from tsmtl.representation import masked
from tsmtl.representation.masked import FillingIn, TransformerEncoder, hidden_stretches


@pytest.fixture
def encoder() -> TransformerEncoder:
    torch.manual_seed(0)
    return TransformerEncoder(2, 20, heads=2, head_size=4, layers=2, inner=8, dropout=0.0, readout="mean")


def runs(row: np.ndarray) -> list[int]:
    """Lengths of the whole hidden stretches of a row, those that touch its ends left out."""
    edges = np.flatnonzero(np.diff(np.r_[False, row, False]))
    return [b - a for a, b in zip(edges[::2], edges[1::2], strict=True) if a > 0 and b < len(row)]


@pytest.mark.parametrize(("share", "length"), [(0.15, 3.0), (0.5, 5.0), (0.3, 1.0)])
def test_stretches_have_the_asked_share_and_geometric_lengths(share, length):
    torch.manual_seed(0)
    hidden = hidden_stretches(torch.Size((40, 5, 1000)), share, length, torch.device("cpu")).numpy()
    assert hidden.mean() == pytest.approx(share, abs=0.01)
    assert hidden[:, :, 0].mean() == pytest.approx(share, abs=0.1)
    found = np.concatenate([runs(row) for row in hidden.reshape(200, 1000)])
    assert found.mean() == pytest.approx(length, rel=0.03)
    for steps in (1, 2, 4):  # P(longer than k) = (1 - 1 / length)^k
        assert (found > steps).mean() == pytest.approx((1 - 1 / length) ** steps, abs=0.01)


def test_channels_and_series_are_hidden_by_themselves():
    torch.manual_seed(0)
    hidden = hidden_stretches(torch.Size((2, 2, 5000)), 0.3, 3.0, torch.device("cpu")).flatten(0, 1).numpy()
    assert np.abs(np.corrcoef(hidden) - np.eye(4)).max() < 0.08


def test_the_error_is_that_of_hidden_known_valid_values_alone(encoder, monkeypatch):
    x = torch.randn(2, 2, 6)
    x[0, 0, 1] = torch.nan
    hidden = torch.zeros(2, 2, 6, dtype=torch.bool)
    hidden[0, 0, 1] = hidden[0, 0, 2] = hidden[1, 1, 0] = hidden[1, 0, 5] = True  # missing; asked; asked; padding
    monkeypatch.setattr(masked, "hidden_stretches", lambda *given: hidden)
    model = FillingIn(encoder, 2, 0.15, 3.0, dropout=0.0, bf16=False).eval()
    lengths = torch.tensor([6, 4])
    seen = []
    encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    error = model(x, lengths)["reconstruction"].item()
    (shown, valid), *_ = seen
    assert (shown[hidden] == 0).all()
    assert torch.equal(valid, torch.arange(6) < lengths[:, None])
    with torch.no_grad():
        filled = model.fill_in(encoder(shown, valid).transpose(1, 2)).transpose(1, 2)
    expected = ((filled[0, 0, 2] - x[0, 0, 2]) ** 2 + (filled[1, 1, 0] - x[1, 1, 0]) ** 2) / 2
    assert error == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_a_series_in_a_padded_batch_is_seen_as_alone(encoder, training):
    encoder.train(training)
    x, lengths = torch.randn(3, 2, 20), torch.tensor([20, 13, 1])
    valid = torch.arange(20) < lengths[:, None]
    batch = encoder(torch.where(valid[:, None], x, 9.0), valid)
    if training:  # batch norms count valid steps alone
        torch.testing.assert_close(encoder(x, valid) * valid[:, None], batch * valid[:, None])
        return
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(batch[row, :, :length], encoder(x[row : row + 1, :, :length])[0])


def test_where_a_step_stands_matters_up_to_the_longest_train_series(encoder):
    encoder.eval()
    x = torch.ones(1, 2, 24)
    with torch.no_grad():
        features = encoder(x)[0]
    assert not torch.allclose(features[:, 3], features[:, 4])
    for step in (20, 21, 23):
        torch.testing.assert_close(features[:, step], features[:, 19])


def test_a_missing_value_is_a_hidden_one(encoder):
    encoder.eval()
    x = torch.randn(1, 2, 20)
    missing, hidden = x.clone(), x.clone()
    missing[0, 1, 4], hidden[0, 1, 4] = torch.nan, 0.0
    torch.testing.assert_close(encoder(missing), encoder(hidden))


def test_hidden_values_are_learnt_from_what_stands_around_them(fitted, tmp_path):
    """Of sines, the error falls far below the variance, which the best constant has."""
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 6.3, (80, 1, 1))
    x = (np.sqrt(2) * np.sin(0.5 * np.arange(30) + phase)).astype(np.float32)
    fitted("masked", x, steps=400, batch_size=40, heads=4, head_size=8, dropout=0.0, lr=3e-3)
    rows = (tmp_path / "vectors.metrics.csv").read_text().splitlines()[1:]
    errors = [float(row.split(",")[2]) for row in rows]
    assert errors[0] > 0.7
    assert np.mean(errors[-10:]) < 0.2


def test_unequal_lengths_and_missing_values_are_learnt_from(fitted, series):
    lengths = np.random.default_rng(0).integers(1, 41, 30)
    lengths[0] = 40
    x = series.copy()
    x[::4, 1, 3] = np.nan
    x[np.broadcast_to(np.arange(40) >= lengths[:, None, None], x.shape)] = np.nan
    method = fitted("masked", x, lengths=lengths)
    for row in (0, 4, 7):
        assert np.isfinite(method.transform(x[row : row + 1, :, : lengths[row]])).all()
