"""TS-TCC: its views, its encoder, what its contexts see, and its losses by hand."""

import math

import numpy as np
import pytest
import torch

from tests.representation.conftest import small, train_of
from tsmtl.representation.augmented_views import jittered_and_scaled, permuted_and_jittered
from tsmtl.representation.contrastive import Context, ConvolutionalEncoder, Futures
from tsmtl.representation.hierarchical_contrast import contrast


@pytest.fixture
def encoder() -> ConvolutionalEncoder:
    torch.manual_seed(0)
    return ConvolutionalEncoder(channels=2, features=8, kernel_size=4, dropout=0.5, readout="max")


def futures(encoder: ConvolutionalEncoder, steps: int = 40, share: float = 0.4) -> Futures:
    torch.manual_seed(1)
    context = Context(encoder.embed_dim, heads=2, head_size=4, layers=2, dropout=0.0)
    return Futures(encoder, context, steps, (0.1, 0.5, 4, 0.3), share, 0.2, 1.0, 0.7, bf16=False)


def test_the_weak_view_has_noise_and_a_factor_of_the_asked_size():
    torch.manual_seed(0)
    x = torch.tensor([1.0, 10.0])[:, None] * torch.randn(500, 2, 50)
    noise = jittered_and_scaled(x, None, 0.3, 0.0) - x
    np.testing.assert_allclose(noise.std(dim=(0, 2)), [0.3, 3.0], rtol=0.02)
    factor = jittered_and_scaled(x, None, 0.0, 0.4) / x
    torch.testing.assert_close(factor, factor[:, :, :1].expand_as(factor))
    assert factor.mean().item() == pytest.approx(1, abs=0.05)
    assert factor[:, :, 0].std().item() == pytest.approx(0.4, abs=0.03)


def test_the_strong_view_has_the_same_steps_in_pieces():
    torch.manual_seed(0)
    x = torch.arange(1.0, 21).expand(4000, 2, 20)
    moved = permuted_and_jittered(x, None, 4, 0.0)
    torch.testing.assert_close(moved.sort(dim=2).values, x)
    torch.testing.assert_close(moved[:, 0], moved[:, 1])  # all channels alike
    breaks = ((moved[:, 0, 1:] - moved[:, 0, :-1]) != 1).sum(dim=1)
    assert breaks.max() == 3
    assert torch.bincount(breaks).min() > 300
    assert torch.equal(permuted_and_jittered(x, None, 1, 0.0), x)


def test_views_leave_padding_behind_the_end():
    torch.manual_seed(0)
    lengths = torch.tensor([20, 11, 1]).repeat(300)
    valid = torch.arange(20) < lengths[:, None]
    x = (torch.arange(1.0, 21) * valid)[:, None].expand(-1, 2, -1)
    for view in (jittered_and_scaled(x, valid, 0.3, 0.4), permuted_and_jittered(x, valid, 4, 0.3)):
        assert (view.masked_select(~valid[:, None]) == 0).all()
    moved = permuted_and_jittered(x, valid, 4, 0.0)
    for n, length in enumerate((20, 11, 1)):
        torch.testing.assert_close(moved[n::3, 0, :length].sort(dim=1).values, x[n::3, 0, :length])
    # Of 1 x 20, 1 x 11 and 1 x 1 values 1 ... length, the noise knows the sd of all without the padding.
    values = torch.cat([torch.arange(1.0, length + 1) for length in (20, 11, 1)])
    noise = (jittered_and_scaled(x, valid, 0.3, 0.0) - x).masked_select(valid[:, None])
    assert noise.std().item() == pytest.approx(0.3 * values.std(correction=0).item(), rel=0.03)


@pytest.mark.parametrize("training", [False, True])
def test_a_series_in_a_padded_batch_is_seen_as_alone(encoder, training):
    encoder.train(training)
    encoder.dropout.p = 0.0
    x, lengths = torch.randn(3, 2, 21), torch.tensor([21, 13, 2])
    valid = torch.arange(21) < lengths[:, None]
    x = x * valid[:, None]
    batch = encoder(x, valid)
    assert batch.shape == (3, 8, 3)
    if training:  # the batch norms count valid steps alone, so that padding the whole batch further changes nothing
        wider = torch.nn.functional.pad(x, (0, 19))
        torch.testing.assert_close(encoder(wider, torch.arange(40) < lengths[:, None])[:, :, :3], batch)
        return
    for row, length in enumerate(lengths.tolist()):
        alone = encoder(x[row : row + 1, :, :length])[0]
        assert alone.shape[1] == -(-length // 8)
        torch.testing.assert_close(batch[row, :, : alone.shape[1]], alone)
        assert (batch[row, :, alone.shape[1] :] == 0).all()


def test_a_context_sees_the_steps_up_to_its_own_alone(encoder):
    context = futures(encoder).context.eval()
    x, upto = torch.randn(3, 8, 6), torch.tensor([0, 2, 5])
    before = context(x, upto)
    for row, last in enumerate(upto.tolist()):
        changed = x.clone()
        changed[row, :, last + 1 :] = 7.0
        torch.testing.assert_close(context(changed, upto), before)
        changed[row, :, last] = 7.0
        assert not torch.allclose(context(changed, upto)[row], before[row])


def test_the_temporal_loss_is_that_of_the_paper(encoder):
    model = futures(encoder)
    assert model.future == 2  # 40 steps are 5 behind the pooling, and two fifths of them two
    context, features = torch.randn(3, 8), torch.randn(3, 8, 5)
    at, ends = torch.tensor([1, 1, 0]), torch.tensor([5, 3, 1])
    told = model.tell(context).detach().view(3, 2, 8)
    expected = []
    # By hand: later steps are 2 and 3 of the first series, 2 of the second (it has no 3), none of the third.
    for k, rows in ((1, [0, 1]), (2, [0])):
        for i in rows:
            scores = {j: float(told[i, k - 1] @ features[j, :, at[j] + k]) for j in rows}
            expected.append(-math.log(math.exp(scores[i]) / sum(math.exp(s) for s in scores.values())))
    assert model._told(context, features, at, ends).item() == pytest.approx(sum(expected) / 3, rel=1e-4)


def test_the_contextual_loss_is_nt_xent():
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    expected = 0.0
    for i in range(6):
        scores = [math.exp(float(vectors[i] @ vectors[k]) / 0.2) for k in range(6) if k != i]
        expected -= math.log(math.exp(float(vectors[i] @ vectors[(i + 3) % 6]) / 0.2) / sum(scores)) / 6
    assert contrast((vectors / 0.2**0.5)[None], None).item() == pytest.approx(expected, rel=1e-5)


def test_series_too_short_for_a_future_have_the_contextual_loss_alone(encoder):
    model = futures(encoder, steps=8)
    parts = model(torch.randn(4, 2, 8))
    assert model.future == 0
    assert parts["temporal"].item() == 0
    assert parts["contextual"].item() > 0


def test_one_train_series_is_refused(tmp_path):
    with pytest.raises(ValueError, match="contrastive tells train series from each other, and there is one"):
        small("contrastive", tmp_path).fit(train_of(np.zeros((1, 1, 20), np.float32)), 0)


@pytest.mark.parametrize(("steps", "temporal_weight"), [(40, 0.0), (8, 1.0)])
def test_a_loss_without_any_part_is_refused(fitted, series, steps, temporal_weight):
    weights = {"temporal_weight": temporal_weight, "contextual_weight": 0.0}
    with pytest.raises(ValueError, match=r"representation\.contextual_weight: must be above 0 where temporal_weight"):
        fitted("contrastive", series[:, :, :steps], **weights)


@pytest.mark.parametrize(("steps", "told"), [(8, 1), (9, 0)])
def test_that_short_series_have_no_future_is_said(fitted, series, caplog, steps, told):
    fitted("contrastive", series[:, :, :steps])
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == told
    assert all("makes one step of 8, so that there is no future to tell" in line for line in warned)


def test_unequal_lengths_are_learnt_from(fitted, series):
    lengths = np.random.default_rng(0).integers(1, 41, 30)
    lengths[0] = 40
    method = fitted("contrastive", np.where(np.arange(40) < lengths[:, None, None], series, 0), lengths=lengths)
    for row in (0, 4, 7):
        assert np.isfinite(method.transform(series[row : row + 1, :, : lengths[row]])).all()
