"""The LSTM-FCN against the layer sizes of Karim et al. 2018 and 2019, and against a plain forward pass."""

import warnings

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tsmtl.models.lstm_fcn import LSTMFCN, SqueezeExcite

# By hand, from the papers: 128, 256 and 128 filters of 8, 5 and 3 steps; scale and shift of three batch norms.
CONVOLUTIONS = 256 * 128 * 5 + 128 * 256 * 3  # the second and the third; the first reads C channels
BATCH_NORMS = 2 * (128 + 256 + 128)
SQUEEZE_EXCITE = 2 * 128 * (128 // 16) + 2 * 256 * (256 // 16)


def lstm_parameters(reads: int, hidden: int) -> int:
    return 4 * (hidden * reads + hidden * hidden + 2 * hidden)  # four gates, torch's two biases


@pytest.mark.parametrize("hidden", [8, 64, 128])  # the sizes that the papers search
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_default_has_the_layers_of_the_papers(build, channels, shuffle, hidden):
    backbone = build(
        "lstm_fcn",
        input_size=channels,
        seq_len=24,
        num_layers=1,
        lstm_hidden_size=hidden,
        dimension_shuffle=shuffle,
    )
    excite = SQUEEZE_EXCITE if channels > 1 else 0  # LSTM-FCN has none, MLSTM-FCN has two
    expected = 128 * channels * 8 + CONVOLUTIONS + BATCH_NORMS + excite
    expected += lstm_parameters(24 if shuffle else channels, hidden)
    assert sum(p.numel() for p in backbone.parameters()) == expected
    assert backbone.embed_dim == hidden + 128
    assert backbone(torch.randn(2, channels, 24)).shape == (2, hidden + 128)


def test_squeeze_excite_can_be_left_out(build):
    with_it, without = (build("lstm_fcn", squeeze_excite=on) for on in (True, False))
    counts = [sum(p.numel() for p in backbone.parameters()) for backbone in (with_it, without)]
    assert counts[0] - counts[1] == SQUEEZE_EXCITE


def test_squeeze_excite_by_hand():
    layer = SqueezeExcite(channels=2)
    layer.squeeze.weight.data = torch.tensor([[1.0, 1.0]])
    layer.excite.weight.data = torch.tensor([[1.0], [-2.0]])
    x = torch.tensor([[[1.0, 2.0, 3.0], [0.0, -1.0, -2.0]]])
    # Means 2 and -1, squeezed to relu(1) = 1, excited to sigmoid(1) and sigmoid(-2).
    expected = x * torch.tensor([[[0.7310586], [0.1192029]]])
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-6)


def plain_forward(backbone: LSTMFCN, x: Tensor) -> Tensor:
    """Compute the embedding (readout mean, eval mode) with torch's own padding='same'."""
    _, (h_n, _) = backbone.lstm(x if backbone.dimension_shuffle else x.transpose(1, 2))
    maps = x
    for i, (conv, norm) in enumerate(zip(backbone.convs, backbone.norms, strict=True)):
        with warnings.catch_warnings():  # torch says that an even filter costs a copy
            warnings.filterwarnings("ignore", message="Using padding='same' with even kernel")
            maps = F.conv1d(maps, conv.weight, padding="same")
        maps = F.batch_norm(maps, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu()
        if i < len(backbone.excites):
            excite = backbone.excites[i]
            narrow = (maps.mean(dim=2) @ excite.squeeze.weight.T).relu()
            maps = maps * (narrow @ excite.excite.weight.T).sigmoid()[:, :, None]
    return torch.cat([h_n[-1], maps.mean(dim=2)], dim=1)


@pytest.mark.parametrize("kernel_sizes", [[8, 5, 3], [2, 4, 6], [1, 3, 7]])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_forward_pass_equals_a_plain_one_and_even_filters_keep_the_steps(build, channels, shuffle, kernel_sizes):
    backbone = build(
        "lstm_fcn",
        input_size=channels,
        conv_channels=[32, 48, 16],
        kernel_sizes=kernel_sizes,
        dimension_shuffle=shuffle,
    )
    x = torch.randn(4, channels, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        backbone.train()(3 * x + 1)  # running statistics other than 0 and 1
        backbone.eval()
        torch.testing.assert_close(backbone(x), plain_forward(backbone, x), rtol=1e-5, atol=1e-5)


def test_an_even_filter_leaves_as_many_steps_as_it_reads(build):
    backbone = build("lstm_fcn", kernel_sizes=[8, 4, 2], readout="flatten").eval()
    assert backbone(torch.randn(2, 3, 24)).shape == (2, 64 + 128 * 24)


def test_lstm_fcn_multi_is_the_lstm_fcn_with_one_layer(build):
    multi = build("lstm_fcn_multi").eval()
    assert multi.lstm.num_layers == 1
    assert build("lstm_fcn").lstm.num_layers == 2
    single = build("lstm_fcn", num_layers=1).eval()
    single.load_state_dict(multi.state_dict())
    x = torch.randn(2, 3, 24)
    assert torch.equal(single(x), multi(x))
