"""The GRU against its equations, step by step."""

import pytest
import torch
from torch import Tensor, nn

from tests.test_train import SMALL, rows_of
from tsmtl.checkpoint.last import read_last
from tsmtl.models.gru_layers import GRULayers


def final_hidden(x: Tensor, rnn: nn.GRU, suffix: str) -> Tensor:
    """Run one direction over one series (C, T) by the equations; ``suffix`` names its weights."""
    w_ih, w_hh, b_ih, b_hh = (getattr(rnn, f"{p}_l0{suffix}") for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h = torch.zeros(rnn.hidden_size)
    for step in (x.flip(1) if suffix else x).T:
        r_x, z_x, n_x = (w_ih @ step + b_ih).chunk(3)
        r_h, z_h, n_h = (w_hh @ h + b_hh).chunk(3)
        z = (z_x + z_h).sigmoid()
        h = (1 - z) * (n_x + (r_x + r_h).sigmoid() * n_h).tanh() + z * h
    return h


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, [10, 4, 7]])
def test_the_readout_last_is_the_final_hidden_state_of_each_direction(build, bidirectional, lengths):
    backbone = build("gru", seq_len=10, num_layers=1, hidden_size=5, bidirectional=bidirectional).eval()
    x = torch.randn(3, 3, 10, generator=torch.Generator().manual_seed(0))
    steps = lengths or [10, 10, 10]
    directions = ["", "_reverse"] if bidirectional else [""]
    with torch.no_grad():
        expected = torch.stack(
            [
                torch.cat([final_hidden(row[:, :n], backbone.rnn, d) for d in directions])
                for row, n in zip(x, steps, strict=True)
            ]
        )
        got = backbone(x, None if lengths is None else torch.tensor(lengths))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_a_gru_has_three_quarters_of_the_weights_of_an_lstm(build):
    weights = {m: sum(p.numel() for p in build(m).parameters()) for m in ("gru", "lstm")}
    assert weights["gru"] * 4 == weights["lstm"] * 3


@pytest.mark.parametrize("readout", ["mean", "max", "flatten"])
def test_the_other_readouts_read_the_hidden_states_of_all_steps(build, readout):
    backbone = build("gru", seq_len=6, hidden_size=5, readout=readout).eval()
    x = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        steps, _ = backbone.rnn(x.transpose(1, 2))  # (N, T, 10)
        expected = {
            "mean": steps.mean(dim=1),
            "max": steps.max(dim=1).values,
            "flatten": torch.cat([steps[:, t] for t in range(steps.shape[1])], dim=1),
        }
        torch.testing.assert_close(backbone(x), expected[readout])


@pytest.mark.parametrize("more", [[], ["weighting=pcgrad", "trainer.conflict=epoch", "trainer.weight_average=0.9"]])
def test_a_run_is_that_of_the_stock_layer_but_for_rounding(tsmtl_train, tmp_path, monkeypatch, more):
    settings = ["model=gru", "hidden_size=8", "dropout=0.3", *SMALL, "num_epochs=4", *more]
    assert tsmtl_train(*settings, "hydra.run.dir=ours").code == 0
    monkeypatch.setattr(GRULayers, "forward", nn.GRU.forward)
    assert tsmtl_train(*settings, "hydra.run.dir=stock").code == 0
    ours, stock = (rows_of(tmp_path / name / "metrics.csv") for name in ("ours", "stock"))
    assert len(ours) == len(stock) == 4
    for mine, plain in zip(ours, stock, strict=True):
        assert mine.keys() == plain.keys()
        for key in (key for key in mine if key.endswith("loss")):
            assert float(mine[key]) == pytest.approx(float(plain[key]), rel=1e-4), key
    last = [read_last(tmp_path / name / "last.pt")["model"] for name in ("ours", "stock")]
    assert any((last[0][key] != last[1][key]).any() for key in last[0]), "nothing was rounded in another way"
