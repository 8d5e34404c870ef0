import pytest
import torch

from tsmtl.models.backbone import Backbone
from tsmtl.models.cnn1d import CNN1D
from tsmtl.models.gru import GRU
from tsmtl.models.lstm_fcn import LSTMFCN
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training import evaluation
from tsmtl.training.batches import TensorSplit
from tsmtl.training.evaluation import embeddings_of, outputs_of

LENGTHS = torch.tensor([5, 9, 6, 7, 20, 5, 8, 6])


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", 3)


@pytest.fixture(params=["gru", "cnn1d", "lstm_fcn"])
def model(request) -> MultiTaskModel:
    torch.manual_seed(0)
    backbones: dict[str, Backbone] = {
        "gru": GRU(2, 20, hidden_size=4, num_layers=2, dropout=0.5, bidirectional=True, readout="attention"),
        "cnn1d": CNN1D(2, 20, 4, kernel_size=3, stride=1, padding=1, dropout=0.5, readout="max"),
        "lstm_fcn": LSTMFCN(2, 20, 1, 0.5, 0.5, 4, [4, 8], [4, 3], True, False, "mean"),
    }
    model = MultiTaskModel(backbones[request.param], {"cls": 3, "reg": 1})
    with torch.no_grad():
        model.train()(3 * torch.randn(8, 2, 20) + 1)  # running statistics other than 0 and 1
    return model


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(8, 2, 20, generator=torch.Generator().manual_seed(1))


def test_batches_give_what_the_whole_split_at_once_gives(model, x):
    got = outputs_of(model, TensorSplit(x, {}))
    with torch.no_grad():
        expected = model.eval()(x)
    for task in ("cls", "reg"):
        torch.testing.assert_close(got[task], expected[task], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("size", [1, 3, 4, 8, 100])
def test_outputs_and_embeddings_are_those_of_each_batch_by_itself_bit_by_bit(model, x, lengths, size):
    model.eval()
    with torch.no_grad():
        parts = [slice(at, at + size) for at in range(0, 8, size)]
        if lengths is None:
            batches = [(x[part].clone(),) for part in parts]
        else:
            batches = [(x[p].clone()[:, :, : lengths[p].max()], lengths[p]) for p in parts]
        expected = [model(*batch) for batch in batches]
        embeddings = torch.cat([model.backbone(*batch) for batch in batches])
    split = TensorSplit(x, {}, lengths)
    got = outputs_of(model, split, size)
    assert list(got) == ["cls", "reg"]
    for task, found in got.items():
        assert torch.equal(found, torch.cat([outputs[task] for outputs in expected]))
        assert found.is_contiguous()
    assert torch.equal(embeddings_of(model.backbone, split, size), embeddings)


@pytest.mark.parametrize("size", [3, 8])
def test_outputs_lie_in_order_in_memory_however_the_model_gives_them(x, size):
    class Transposes(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"cls": x.mean(dim=2).t().contiguous().t(), "reg": x.mean(dim=2)[:, :1]}

    for found in outputs_of(Transposes(), TensorSplit(x, {}), size).values():
        assert found.is_contiguous()
        assert found.untyped_storage().nbytes() == 4 * found.numel()


def test_cutting_batches_to_their_longest_changes_no_output(model, x):
    x = x * (torch.arange(20) < LENGTHS[:, None])[:, None, :]
    got = outputs_of(model, TensorSplit(x, {}, LENGTHS))
    with torch.no_grad():
        expected = model.eval()(x, LENGTHS)
    for task in ("cls", "reg"):
        torch.testing.assert_close(got[task], expected[task], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_and_the_state_are_as_before(model, x, training):
    model.train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    outputs = outputs_of(model, TensorSplit(x, {}))
    assert all(module.training == training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not outputs["cls"].requires_grad
