import pytest
import torch


def test_every_layer_is_linear_with_relu(build):
    backbone = build("fc", input_size=4, hidden_sizes=[6, 5]).eval()
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    first, second = backbone.layers[0], backbone.layers[3]
    hidden = (x @ first.weight.T + first.bias).clamp(min=0)
    expected = (hidden @ second.weight.T + second.bias).clamp(min=0)
    torch.testing.assert_close(backbone(x), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("bias", "parameters"), [(True, 4 * 6 + 6 + 6 * 5 + 5), (False, 4 * 6 + 6 * 5)])
def test_bias_is_in_every_layer_or_in_none(build, bias, parameters):
    backbone = build("fc", input_size=4, hidden_sizes=[6, 5], bias=bias)
    assert sum(p.numel() for p in backbone.parameters()) == parameters


def test_without_layers_the_embedding_is_the_vector(build):
    backbone = build("fc", input_size=4, hidden_sizes=[]).eval()
    x = torch.randn(3, 4)
    assert backbone.embed_dim == 4
    assert torch.equal(backbone(x), x)
