"""The LSTM against its equations, step by step."""

import pytest
import torch
from torch import Tensor, nn


def final_hidden(x: Tensor, rnn: nn.LSTM, suffix: str) -> Tensor:
    """Run one direction over one series (C, T) by the equations; ``suffix`` names its weights."""
    w_ih, w_hh, b_ih, b_hh = (getattr(rnn, f"{p}_l0{suffix}") for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h = c = torch.zeros(rnn.hidden_size)
    for step in (x.flip(1) if suffix else x).T:
        i, f, g, o = (w_ih @ step + b_ih + w_hh @ h + b_hh).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    return h


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, [10, 4, 7]])
def test_the_readout_last_is_the_final_hidden_state_of_each_direction(build, bidirectional, lengths):
    backbone = build("lstm", seq_len=10, num_layers=1, hidden_size=5, bidirectional=bidirectional).eval()
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


@pytest.mark.parametrize(
    ("num_layers", "bidirectional", "parameters"),
    [
        (1, False, 4 * (5 * 3 + 5 * 5 + 2 * 5)),
        (1, True, 2 * 4 * (5 * 3 + 5 * 5 + 2 * 5)),
        (2, True, 2 * 4 * (5 * 3 + 5 * 5 + 2 * 5) + 2 * 4 * (5 * 10 + 5 * 5 + 2 * 5)),  # layer 2 reads both directions
    ],
)
def test_an_lstm_has_four_gates(build, num_layers, bidirectional, parameters):
    backbone = build("lstm", hidden_size=5, num_layers=num_layers, bidirectional=bidirectional)
    assert sum(p.numel() for p in backbone.parameters()) == parameters
    assert backbone.embed_dim == (10 if bidirectional else 5)
