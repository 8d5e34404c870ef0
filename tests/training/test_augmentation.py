"""What each change does to a batch: shares and moments counted over many instances, one-by-one references."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tsmtl.models.gru import GRU
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.tasks.losses import MISSING, Criterion, cross_entropy, regression_loss
from tsmtl.training.augmentation import Augmentation, Channels, channels_of
from tsmtl.training.batches import TensorSplit

MEAN, SD = torch.tensor([3.0, -1.0]), torch.tensor([2.0, 0.5])
ALL = {"jitter": 0.1, "scaling": 0.1, "time_mask": 0.3, "channel_mask": 0.4, "window_warp": 0.5, "mixup": 0.4}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def series(n: int = 4000, steps: int = 20) -> Tensor:
    return MEAN[:, None] + SD[:, None] * torch.randn(n, 2, steps)


def changed(x: Tensor, lengths: Tensor | None = None, **changes: float) -> Tensor:
    return Augmentation(list(changes.items()), Channels(MEAN, SD))(x, lengths)[0]


def test_channels_are_measured_over_the_valid_steps():
    x, lengths = series(600), torch.randint(1, 21, (600,))
    lengths[0] = 20
    x[torch.arange(20)[None, None, :].expand_as(x) >= lengths[:, None, None]] = 0
    for split, values in (
        (TensorSplit(x, {}), [x[:, c].flatten() for c in (0, 1)]),
        (TensorSplit(x[:, :, 0], {}), [x[:, c, 0] for c in (0, 1)]),
        (
            TensorSplit(x, {}, lengths),
            [torch.cat([s[c, :n] for s, n in zip(x, lengths, strict=True)]) for c in (0, 1)],
        ),
    ):
        got = channels_of(split)
        for channel, of_channel in enumerate(values):
            assert got.mean[channel].item() == pytest.approx(of_channel.numpy().astype(float).mean(), rel=1e-5)
            assert got.sd[channel].item() == pytest.approx(of_channel.numpy().astype(float).std(), rel=1e-5)


@pytest.mark.parametrize("vectors", [False, True])
def test_jitter_adds_noise_of_its_share_of_the_channels_sd(vectors):
    x = series()[:, :, 0] if vectors else series()
    noise = (changed(x, jitter=0.3) - x).transpose(0, 1).reshape(2, -1)
    n = noise.shape[1]
    for channel, sd in enumerate((0.6, 0.15)):
        assert noise[channel].mean().item() == pytest.approx(0, abs=5 * sd / n**0.5)
        assert noise[channel].std().item() == pytest.approx(sd, rel=5 / (2 * n) ** 0.5)


@pytest.mark.parametrize("vectors", [False, True])
def test_scaling_gives_each_channel_of_each_instance_one_factor_around_1(vectors):
    x = series()[:, :, 0] if vectors else series()
    factors = changed(x, scaling=0.2) / x
    if not vectors:
        torch.testing.assert_close(factors, factors[:, :, :1].expand_as(factors), rtol=1e-3, atol=1e-4)
        factors = factors[:, :, 0]
    assert factors.mean().item() == pytest.approx(1, abs=5 * 0.2 / 8000**0.5)
    assert factors.std().item() == pytest.approx(0.2, rel=5 / 16000**0.5)
    assert np.corrcoef(factors.T.numpy())[0, 1] == pytest.approx(0, abs=5 / 4000**0.5)


def test_time_mask_sets_consecutive_steps_of_all_channels_to_their_means():
    x = series()
    got = changed(x, time_mask=0.25)
    masked = (got != x).all(dim=1)  # (N, T)
    assert torch.equal(got, torch.where(masked[:, None, :], MEAN[:, None].expand_as(x), x))
    assert (masked.sum(dim=1) == 5).all()
    starts = masked.float().argmax(dim=1)
    assert all(bool(row[s : s + 5].all()) for row, s in zip(masked, starts, strict=True))
    counts = torch.bincount(starts)
    assert len(counts) == 16  # every place from the first to the last
    assert (counts - 250).abs().max() < 5 * 250**0.5


def test_channel_mask_takes_each_channel_with_its_probability_but_never_all():
    x = series(6000)
    got = changed(x, channel_mask=0.4)
    masked = (got != x).any(dim=2)  # (N, 2)
    assert torch.equal(got, torch.where(masked[:, :, None], MEAN[:, None].expand_as(x), x))
    assert not masked.all(dim=1).any()
    # Both with 0.16, of which one stays; none with 0.36.
    assert masked.any(dim=1).float().mean().item() == pytest.approx(0.64, abs=5 * (0.64 * 0.36 / 6000) ** 0.5)
    assert masked[:, 0].float().mean().item() == pytest.approx(0.32, abs=5 * (0.32 * 0.68 / 6000) ** 0.5)
    vectors = changed(x[:, :, 0], channel_mask=0.4)
    assert ((vectors == x[:, :, 0]) | (vectors == MEAN)).all()
    assert (vectors == MEAN).float().mean().item() == pytest.approx(0.32, abs=5 * (0.32 * 0.68 / 6000) ** 0.5)
    one = torch.randn(50, 1, 20)
    alone = Augmentation([("channel_mask", 0.9)], Channels(MEAN[:1], SD[:1]))(one, None)[0]
    assert torch.equal(alone, one)


def warped_slowly(series: np.ndarray, start: float, speed: float) -> np.ndarray:
    """Resample the window, put the three parts together, and bring the whole back to its length."""
    last = len(series) - 1
    window, fine = 0.1 * last, 20001
    time, position = [0.0], [0.0]
    for end, rate in ((start, 1.0), (start + window, speed), (last, 1.0)):
        time.append(time[-1] + (end - position[-1]) / rate)
        position.append(end)
    at = np.interp(np.linspace(0, time[-1], fine), time, position)
    whole = np.interp(at, np.arange(len(series)), series)
    return whole[np.round(np.linspace(0, fine - 1, len(series))).astype(int)]


def test_window_warp_is_a_window_resampled_and_the_whole_brought_back(monkeypatch):
    x, draws = series(3, 41), iter([torch.tensor([[0.9], [0.2], [0.5]]), torch.tensor([[0.3], [0.99], [0.0]])])
    monkeypatch.setattr(torch, "rand_like", lambda like: next(draws))
    got = changed(x, window_warp=0.5)
    for row, (speed, start) in enumerate([(1.4, 0.3 * 36), (0.7, 0.99 * 36), (1.0, 0.0)]):
        for channel in (0, 1):
            expected = warped_slowly(x[row, channel].numpy().astype(float), start, speed)
            np.testing.assert_allclose(got[row, channel].numpy(), expected, atol=2e-2)
    torch.testing.assert_close(got[2], x[2], rtol=0, atol=1e-4)  # a speed of 1 changes nothing


def test_window_warp_keeps_the_ends_and_the_order_and_changes_the_speed_by_so_much_at_most():
    steps = 101
    time = torch.arange(float(steps)).expand(2000, 1, steps)
    got = Augmentation([("window_warp", 0.6)], Channels(MEAN[:1], SD[:1]))(time, None)[0]
    torch.testing.assert_close(got[:, :, [0, -1]], time[:, :, [0, -1]], rtol=0, atol=1e-3)
    speeds = got.diff(dim=2)
    assert speeds.min() > 0
    ratio = (speeds / speeds.median(dim=2, keepdim=True).values)[:, 0]
    fastest, slowest = ratio.max(dim=1).values, ratio.min(dim=1).values
    assert fastest.max().item() == pytest.approx(1.6, abs=0.02)
    assert slowest.min().item() == pytest.approx(0.4, abs=0.02)
    odd = ((ratio - 1).abs() > 0.05).sum(dim=1)
    assert odd.float().max() <= 25  # a tenth of the series, at a speed of 0.4 for longer


@pytest.mark.parametrize("name", [name for name in ALL if name != "mixup"])
def test_padding_and_the_steps_of_other_series_are_left_alone(name):
    x, lengths = series(200), torch.randint(1, 21, (200,))
    lengths[:2] = torch.tensor([20, 1])
    inside = (torch.arange(20) < lengths[:, None])[:, None, :].expand_as(x)
    padded = torch.where(inside, x, 77.0)
    torch.manual_seed(1)
    got = changed(padded, lengths, **{name: ALL[name]})
    assert (got[~inside] == 77).all()
    torch.manual_seed(1)
    other = changed(torch.where(inside, x, -5.0), lengths, **{name: ALL[name]})
    assert torch.equal(got[inside], other[inside]), "what lies in the padding does not matter"
    assert not torch.equal(got[inside], x[inside])


def test_time_mask_takes_its_share_of_each_series_own_length_one_step_at_least_but_not_all():
    x, lengths = series(5), torch.tensor([20, 10, 3, 2, 1])
    masked = (changed(x, lengths, time_mask=0.3) != x).all(dim=1).sum(dim=1)
    assert masked.tolist() == [6, 3, 1, 1, 0]


def test_mixup_mixes_pairs_by_one_share_and_the_longer_length_counts():
    x, lengths = series(50), torch.randint(1, 21, (50,))
    x = x * (torch.arange(20) < lengths[:, None])[:, None, :]
    got, mixed_lengths, mixture = Augmentation([("mixup", 0.5)], Channels(MEAN, SD))(x, lengths)
    share, partner = mixture.share.item(), mixture.partner
    assert sorted(partner.tolist()) == list(range(50))
    for i in range(50):
        torch.testing.assert_close(got[i], share * x[i] + (1 - share) * x[partner[i]])
        assert mixed_lengths[i] == max(lengths[i], lengths[partner[i]])
        assert not got[i, :, mixed_lengths[i] :].any()


@pytest.mark.parametrize("a", [0.2, 1.0, 3.0])
def test_the_share_of_mixup_is_drawn_from_beta(a):
    x = torch.zeros(2, 2, 3)
    augmentation = Augmentation([("mixup", a)], Channels(MEAN, SD))
    shares = torch.stack([augmentation(x, None)[2].share for _ in range(3000)])
    variance = 1 / (4 * (2 * a + 1))
    assert shares.mean().item() == pytest.approx(0.5, abs=5 * (variance / 3000) ** 0.5)
    assert shares.var().item() == pytest.approx(variance, rel=0.1)


@pytest.fixture
def model() -> MultiTaskModel:
    torch.manual_seed(0)
    return MultiTaskModel(GRU(2, 20, 6, 1, 0.0, False, "last"), {"cls": 3, "reg": 2})


def test_the_loss_of_mixed_inputs_is_the_mixture_of_both_losses_with_weights_and_missing_labels(model):
    class_weights = torch.tensor([1.0, 2.0, 5.0])
    losses = {
        "cls": cross_entropy(class_weights, 0.1, True),
        "reg": regression_loss("huber", 1.0, True, lambda y: 1 + y.nan_to_num().abs()),
    }
    criterion = Criterion(losses, {"cls": 0.3, "reg": 0.7})
    x = series(12)
    targets = {"cls": torch.arange(12) % 3, "reg": torch.randn(12, 2)}
    targets["cls"][[1, 5]] = MISSING
    targets["reg"][[0, 5, 8]] = math.nan
    augmentation = Augmentation([("mixup", 1.0)], Channels(MEAN, SD))
    torch.manual_seed(3)
    mixed, _, mixture = augmentation(x, None)
    torch.manual_seed(3)
    total, parts = augmentation.loss(model, criterion, x, None, targets)

    outputs, lam, partner = model(mixed), mixture.share.item(), mixture.partner.tolist()
    expected = {"cls": 0.0, "reg": 0.0}
    for share, rows in ((lam, range(12)), (1 - lam, partner)):
        log_p = outputs["cls"].log_softmax(dim=1)
        above = below = 0.0
        for i, row in enumerate(rows):
            k = int(targets["cls"][row])
            if k != MISSING:
                above -= 0.9 * class_weights[k] * log_p[i, k] + (0.1 / 3) * (class_weights * log_p[i]).sum()
                below += class_weights[k]
        expected["cls"] += share * (above / below).item()
        errors = []
        for i, row in enumerate(rows):
            for column in (0, 1):
                y = targets["reg"][row, column].item()
                error = abs(outputs["reg"][i, column].item() - y)
                if y == y:
                    errors.append((1 + abs(y)) * (error**2 / 2 if error < 1 else error - 0.5))
        expected["reg"] += share * sum(errors) / len(errors)
    assert {task: part.item() for task, part in parts.items()} == pytest.approx(expected, rel=1e-5)
    assert total.item() == pytest.approx(0.3 * expected["cls"] + 0.7 * expected["reg"], rel=1e-5)
    total.backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.heads.parameters())


def test_changes_come_in_their_order_and_the_loss_is_that_of_the_changed_input(model):
    criterion = Criterion({"cls": cross_entropy(None, 0.0, False)}, {"cls": 1.0})
    x, targets = series(8), {"cls": torch.arange(8) % 3}
    changes = [("channel_mask", 0.5), ("jitter", 0.2)]
    torch.manual_seed(5)
    by_hand = changed(x, channel_mask=0.5)
    by_hand = changed(by_hand, jitter=0.2)
    torch.manual_seed(5)
    total, _ = Augmentation(changes, Channels(MEAN, SD)).loss(model, criterion, x, None, targets)
    assert total.item() == criterion(model(by_hand), targets)[0].item()
    torch.manual_seed(5)
    other = Augmentation(changes[::-1], Channels(MEAN, SD))(x, None)[0]
    assert not torch.equal(other, by_hand)


def test_all_changes_together_keep_shape_and_finite_values_and_leave_the_input_as_it_is():
    for x, lengths in ((series(16), None), (series(16), torch.arange(5, 21)), (series(16)[:, :, 0], None)):
        kept = x.clone()
        names = ALL if x.ndim == 3 else {k: v for k, v in ALL.items() if k not in ("time_mask", "window_warp")}
        got = changed(x, lengths, **names)
        assert got.shape == x.shape
        assert got.dtype == x.dtype
        assert got.isfinite().all()
        assert torch.equal(x, kept)
        assert (got != x).any(dim=tuple(range(1, x.ndim))).all()
