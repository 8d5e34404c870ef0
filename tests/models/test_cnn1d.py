import pytest
import torch


# The steps are counted by hand: (T + 2 * padding - kernel) // stride + 1, twice.
@pytest.mark.parametrize(
    ("seq_len", "kernel_size", "stride", "padding", "steps"),
    [
        (24, 3, 1, 0, 20),  # 24, 22, 20
        (24, 3, 1, 1, 24),  # 24, 24, 24
        (24, 5, 2, 0, 3),  # 24, 10, 3
        (25, 4, 2, 1, 6),  # 25, 12, 6
        (24, 4, 3, 2, 4),  # 24, 9, 4
        (10, 7, 1, 3, 10),
        (1, 3, 1, 2, 5),  # 1, 3, 5
    ],
)
def test_flatten_keeps_every_step_behind_both_blocks(build, seq_len, kernel_size, stride, padding, steps):
    backbone = build(
        "cnn1d", seq_len=seq_len, output_channels=4, kernel_size=kernel_size, stride=stride, padding=padding
    )
    assert backbone.embed_dim == 8 * steps
    assert backbone(torch.randn(2, 3, seq_len)).shape == (2, 8 * steps)


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "shortest"),
    [(3, 1, 0, 5), (3, 1, 1, 1), (5, 2, 0, 13), (4, 3, 1, 5), (7, 2, 1, 13), (5, 1, 3, 1), (3, 3, 0, 9)],
)
def test_shortest_is_the_shortest_length_that_works(build, kernel_size, stride, padding, shortest):
    backbone = build("cnn1d", kernel_size=kernel_size, stride=stride, padding=padding, readout="mean").eval()
    assert backbone.shortest == shortest
    x = torch.randn(2, 3, 24, generator=torch.Generator().manual_seed(0))
    assert backbone(x[:, :, :shortest]).isfinite().all()
    assert backbone(x, torch.tensor([24, shortest])).isfinite().all()
    if shortest > 1:
        assert not backbone(x, torch.tensor([24, shortest - 1])).isfinite().all()  # no step is left
        with pytest.raises(RuntimeError):
            backbone(x[:, :, : shortest - 1])


def test_the_second_block_has_twice_the_channels_and_no_convolution_a_bias(build):
    backbone = build("cnn1d")  # 64 channels, kernel 3
    convolutions = 64 * 3 * 3 + 128 * 64 * 3
    assert sum(p.numel() for p in backbone.parameters()) == convolutions + 2 * (64 + 128)


def test_a_block_is_convolution_batch_norm_and_relu(build):
    backbone = build("cnn1d", output_channels=4, stride=2, padding=1).eval()
    x = torch.randn(2, 3, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = x
        for conv, norm in ((backbone.conv1, backbone.norm1), (backbone.conv2, backbone.norm2)):
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
            maps = torch.conv1d(maps, conv.weight, stride=2, padding=1)
            scale = (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None]
            maps = ((maps - norm.running_mean[:, None]) * scale + norm.bias[:, None]).clamp(min=0)
        torch.testing.assert_close(backbone(x), maps.transpose(1, 2).flatten(1), rtol=0, atol=1e-5)
