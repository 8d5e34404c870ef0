import pytest
import torch

from tsmtl.models.multitask import MultiTaskModel


@pytest.mark.parametrize("head_bias", [True, False])
def test_every_head_is_linear_in_the_same_embedding(build, head_bias):
    model = MultiTaskModel(build("gru"), {"cls": 5, "reg": 2}, head_bias).eval()
    x = torch.randn(3, 3, 24, generator=torch.Generator().manual_seed(0))
    outputs = model(x)
    assert list(outputs) == ["cls", "reg"]
    embedding = model.backbone(x)
    for task, size in (("cls", 5), ("reg", 2)):
        head = model.heads[task]
        assert (head.bias is not None) == head_bias
        expected = embedding @ head.weight.T + (head.bias if head_bias else 0)
        assert outputs[task].shape == (3, size)
        torch.testing.assert_close(outputs[task], expected, rtol=0, atol=1e-6)


def test_lengths_reach_the_backbone(build):
    model = MultiTaskModel(build("gru"), {"cls": 2}).eval()
    x = torch.randn(2, 3, 24, generator=torch.Generator().manual_seed(0))
    x[1, :, 9:] = 0
    padded = model(x, torch.tensor([24, 9]))["cls"]
    torch.testing.assert_close(padded[1:], model(x[1:, :, :9])["cls"], rtol=0, atol=1e-6)


def test_the_names_of_the_weights_are_those_of_the_checkpoint_format(build):
    names = set(MultiTaskModel(build("fc"), {"cls": 2, "reg": 1}).state_dict())
    assert {n for n in names if not n.startswith("backbone.")} == {
        f"heads.{task}.{part}" for task in ("cls", "reg") for part in ("weight", "bias")
    }
