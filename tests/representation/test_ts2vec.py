"""TS2Vec: what the encoder sees, and which views it is trained on."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.representation.conftest import small, train_of
from tsmtl.representation import ts2vec
from tsmtl.representation.dilated_encoder import DilatedConvolution, DilatedEncoder
from tsmtl.representation.ts2vec import Views, drawn_views, windows


@pytest.fixture
def encoder() -> DilatedEncoder:
    torch.manual_seed(0)
    return DilatedEncoder(channels=3, embed_dim=6, hidden_size=8, depth=4, kernel_size=3, dropout=0.0).eval()


@pytest.mark.parametrize("kernel_size", [3, 7])
@pytest.mark.parametrize("dilation", [1, 2, 5, 9, 10, 64])
def test_taps_beyond_both_ends_add_nothing(kernel_size, dilation):
    torch.manual_seed(0)
    convolution, x = DilatedConvolution(4, 5, kernel_size, dilation), torch.randn(2, 4, 10)
    padding = kernel_size // 2 * dilation
    expected = F.conv1d(x, convolution.weight, convolution.bias, padding=padding, dilation=dilation)
    torch.testing.assert_close(convolution(x), expected)


def test_a_series_in_a_padded_batch_is_seen_as_alone(encoder):
    x = torch.randn(3, 3, 20)
    lengths = torch.tensor([20, 13, 1])
    valid = (torch.arange(20) < lengths[:, None])[:, None]
    batch = encoder(x.masked_fill(~valid, 7.0), None, valid)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(batch[row, :, :length], encoder(x[row : row + 1, :, :length])[0])
        assert (batch[row, :, length:] == 0).all()


def test_a_step_with_a_missing_channel_is_a_hidden_step(encoder):
    x = torch.randn(1, 3, 12)
    shown = torch.ones(1, 12, dtype=torch.bool)
    shown[0, 5] = False
    missing = x.clone()
    missing[0, 1, 5] = torch.nan
    assert not torch.equal(encoder(missing), encoder(x))
    torch.testing.assert_close(encoder(missing), encoder(x, shown))


def test_a_vector_is_the_greatest_of_each_feature(encoder):
    x = torch.randn(2, 3, 9)
    at_steps = encoder(x)
    torch.testing.assert_close(encoder.embed(x), torch.stack([at_steps[..., t] for t in range(9)]).max(dim=0).values)


def test_views_overlap_and_every_place_may_be_drawn():
    torch.manual_seed(0)
    drawn = [drawn_views(6, 0) for _ in range(3000)]
    assert all(0 <= begin <= left < right <= end <= 6 and right - left >= 2 for begin, left, right, end in drawn)
    assert {right - left for _, left, right, _ in drawn} == {2, 3, 4, 5, 6}
    assert {left for _, left, right, _ in drawn if right - left == 2} == {0, 1, 2, 3, 4}
    assert {begin for begin, left, _, _ in drawn if left == 3} == {0, 1, 2, 3}
    assert {end for _, _, right, end in drawn if right == 4} == {4, 5, 6}
    assert drawn_views(1, 0) == (0, 0, 1, 1)
    assert min(right - left for _, left, right, _ in (drawn_views(20, 2) for _ in range(500))) >= 8


def test_windows_lie_anywhere_and_shorter_series_anywhere_in_them():
    torch.manual_seed(0)
    lengths = torch.tensor([10, 7, 3]).repeat(2000)
    x = torch.arange(1.0, 11).expand(6000, 1, 10)
    found, valid = windows(x, lengths, 5)
    assert valid is not None
    first = [found[n::3, 0][:, 0] for n in (0, 1)]  # 10 and 7 steps: whole windows of the series' own steps
    for n, places in ((0, 6), (1, 3)):
        assert valid[n::3].all()
        counts = torch.bincount(first[n].long() - 1)
        assert len(counts) == places
        assert (counts / 2000 - 1 / places).abs().max() < 0.05
        torch.testing.assert_close(found[n::3, 0], first[n][:, None] + torch.arange(5))
    short = found[2::3, 0]
    assert (valid[2::3].sum(dim=2) == 3).all()
    assert {tuple(row) for row in short.tolist()} == {(1, 2, 3, 0, 0), (0, 1, 2, 3, 0), (0, 0, 1, 2, 3)}


class Same(DilatedEncoder):
    """Gives what it sees."""

    def forward(self, x, shown=None, valid=None):
        return x


def test_both_views_give_the_same_steps_to_the_contrast(monkeypatch):
    seen = []

    def contrast(first, second, valid, temporal_unit):
        seen.append((first, second, valid))
        return first.sum(), second.sum()

    monkeypatch.setattr(ts2vec, "hierarchical_contrast", contrast)
    torch.manual_seed(0)
    views = Views(Same(1, 1, 1, 0, 3, 0.0), hidden_share=0.5, longest_view=100, temporal_unit=0, bf16=False)
    x, lengths = torch.arange(1.0, 13).expand(4, 1, 12), torch.tensor([12, 9, 5, 2])
    for _ in range(200):
        views(x.masked_fill(torch.arange(12) >= lengths[:, None, None], 0), lengths)
    for first, second, valid in seen:
        assert torch.equal(first, second)
        assert torch.equal(valid, first[:, 0] > 0)
        assert valid[0].all()
        assert first.shape[2] >= 2
    assert {first.shape[2] for first, _, _ in seen} == set(range(2, 13))


def test_the_share_of_hidden_steps_is_as_asked(encoder):
    torch.manual_seed(0)
    for share in (0.0, 0.3, 0.5):
        shown = Views(encoder, share, 100, 0, bf16=False)._shown(torch.empty(200, 200))
        assert 1 - shown.float().mean().item() == pytest.approx(share, abs=0.01)
    first, second = (Views(encoder, 0.5, 100, 0, bf16=False)._shown(torch.empty(50, 50)) for _ in range(2))
    assert not torch.equal(first, second)


def test_views_of_long_series_lie_within_the_longest(monkeypatch):
    widths = []
    whole = windows

    def noted(x, lengths, width):
        widths.append(width)
        return whole(x, lengths, width)

    monkeypatch.setattr(ts2vec, "windows", noted)
    torch.manual_seed(0)
    views = Views(Same(1, 1, 1, 0, 3, 0.0), 0.5, 15, 0, bf16=False)
    for _ in range(200):
        views(torch.randn(2, 1, 60))
    assert max(widths) == 15


@pytest.mark.parametrize(("n", "steps"), [(100, 200), (1001, 600)])
def test_a_larger_set_is_trained_for_longer(n, steps):
    train = train_of(np.zeros((n, 2, 50), np.float32))
    assert small("ts2vec", steps=None).recipe_for(train).steps == steps
    assert small("ts2vec", steps=7).recipe_for(train).steps == 7


def test_series_of_other_kinds_come_apart(fitted):
    """Slow sines and fast ones, both of random phase: a line tells the vectors apart, and not the series."""
    rng = np.random.default_rng(0)
    fast = np.arange(60) % 2 == 0
    phase = rng.uniform(0, 6.3, (60, 1, 1))
    x = np.sin(np.where(fast, 0.9, 0.5)[:, None, None] * np.arange(40) + phase).astype(np.float32)
    vectors = fitted("ts2vec", x[:40], steps=60, embed_dim=16, hidden_size=16).transform(x)
    vectors = (vectors - vectors[:40].mean(axis=0)) / vectors[:40].std(axis=0)
    line = np.linalg.lstsq(np.c_[vectors[:40], np.ones(40)], np.where(fast[:40], 1.0, -1.0), rcond=None)[0]
    assert (((np.c_[vectors[40:], np.ones(20)] @ line) > 0) == fast[40:]).mean() >= 0.9


def test_unequal_lengths_and_missing_values_are_learnt_from(fitted, series):
    lengths = np.random.default_rng(0).integers(1, 41, 30)
    lengths[0] = 40
    x = series.copy()
    x[::4, 1, 3] = np.nan
    x[np.broadcast_to(np.arange(40) >= lengths[:, None, None], x.shape)] = np.nan
    method = fitted("ts2vec", x, lengths=lengths)
    for row in (0, 4, 7):
        assert np.isfinite(method.transform(x[row : row + 1, :, : lengths[row]])).all()


def with_gaps(series: np.ndarray, every: int) -> np.ndarray:
    """Leave channel 0 at every so many steps alone, and the others at all."""
    x = series.copy()
    x[:, 0, np.arange(40) % every != 0] = np.nan
    return x


def test_series_of_which_it_would_see_no_step_are_refused(fitted, series):
    x = with_gaps(series, 2)
    x[:, 1, ::2] = np.nan
    with pytest.raises(ValueError, match="ts2vec sees the steps at which no channel is missing, and train has none"):
        fitted("ts2vec", x)


@pytest.mark.parametrize(("every", "said"), [(1, None), (2, None), (3, "35.0 %"), (40, "2.5 %")])
def test_that_few_steps_are_seen_is_said(fitted, series, caplog, every, said):
    fitted("ts2vec", with_gaps(series, every), steps=1)
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == (said is not None)
    assert said is None or f"ts2vec sees {said} of the train steps" in warned[0]


def test_padding_is_no_step_that_is_missed(fitted, series, caplog):
    lengths = np.full(30, 10)
    lengths[0] = 40
    x = np.where(np.arange(40) < lengths[:, None, None], series, np.nan)
    fitted("ts2vec", x, lengths=lengths, steps=1)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_that_nothing_is_seen_of_a_series_is_said_once(fitted, series, caplog):
    method = fitted("ts2vec", series, steps=1)
    x = series.copy()
    x[3:5, 1] = np.nan
    vectors = method.transform(x)
    assert np.array_equal(vectors[3], vectors[4])
    method.transform(x)
    (warned,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "ts2vec sees nothing of them" in warned
