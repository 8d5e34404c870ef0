"""What every backbone of the registry promises, with every readout it has."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from tsmtl.config.model_settings import FAMILIES, Readout
from tsmtl.models import Backbone
from tsmtl.models.registry import BACKBONES

C, T = 3, 24  # as tests/models/conftest.py builds them


def cases() -> list[Any]:
    """Every model with every readout, and the settings that change what ``forward`` does."""
    found = []
    for model in FAMILIES:
        variants: list[dict[str, Any]] = [{}]
        if "readout" in FAMILIES[model].model_fields:
            variants = [{"readout": readout} for readout in get_args(Readout)]
        if model in ("lstm", "gru"):
            variants += [{"bidirectional": False, "num_layers": layers} for layers in (1, 2)]
            variants += [{"bidirectional": True, "num_layers": 1}]
            variants += [{"bidirectional": False, "readout": "attention"}]
        if model == "cnn1d":
            variants += [{"stride": 2, "padding": 1, "kernel_size": 4, "readout": "mean"}]
        if model.startswith("lstm_fcn"):
            variants += [{"dimension_shuffle": True}, {"squeeze_excite": False}, {"num_layers": 1}, {"num_layers": 2}]
        if model == "fc":
            variants += [{"hidden_sizes": []}, {"bias": False}]
        for changes in variants:
            said = "-".join(f"{key}={value}" for key, value in changes.items())
            found.append(pytest.param(model, changes, id=f"{model}-{said}" if said else model))
    return found


CASES = cases()
FIXED_LENGTH = [
    *[(model, {"readout": "flatten"}) for model in FAMILIES if model != "fc"],
    ("lstm_fcn", {"dimension_shuffle": True}),
    ("lstm_fcn_multi", {"dimension_shuffle": True}),
    ("fc", {}),
]
HONOUR_LENGTHS = [case for case in CASES if case.values not in FIXED_LENGTH and case.values[0] != "fc"]


def batch(backbone: Backbone, n: int, seed: int = 1) -> Tensor:
    shape = (n, C) if backbone.reads == "vectors" else (n, C, T)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def settled(backbone: Backbone) -> Backbone:
    """Let batch norm see data that are neither centred nor scaled, then stop learning."""
    backbone.train()
    with torch.no_grad():
        for seed in range(5):
            backbone(2 * batch(backbone, 16, seed) + 1)
    return backbone.eval()


def test_the_registry_and_the_settings_name_the_same_models():
    assert list(BACKBONES) == list(FAMILIES)
    assert set(BACKBONES) == {"lstm", "gru", "cnn1d", "lstm_fcn", "lstm_fcn_multi", "fc"}


@pytest.mark.parametrize(("model", "changes"), CASES)
def test_the_embedding_has_shape_n_by_embed_dim(build, model, changes):
    backbone = build(model, **changes)
    for n in (2, 5):
        assert backbone(batch(backbone, n)).shape == (n, backbone.embed_dim)


@pytest.mark.parametrize(("model", "changes"), [case for case in CASES if case.values[1] != {"hidden_sizes": []}])
def test_gradients_reach_every_parameter(build, model, changes):
    backbone = build(model, **changes).train()
    embedding = backbone(batch(backbone, 16))
    (embedding * torch.randn(embedding.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-6, name  # a parameter that nothing depends on has rounding noise at most


@pytest.mark.parametrize(("model", "changes"), CASES)
def test_in_eval_mode_an_embedding_does_not_depend_on_the_rest_of_the_batch(build, model, changes):
    backbone = settled(build(model, **changes))
    x = batch(backbone, 6)
    others = x.clone()
    others[1:] = 100 * others[1:].flip(0)
    with torch.no_grad():
        together, alone, beside_others = backbone(x), backbone(x[:1]), backbone(others)
    torch.testing.assert_close(together[:1], alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(together[:1], beside_others[:1], rtol=1e-5, atol=1e-5)
    assert (together[1:] - beside_others[1:]).abs().max() > 1e-2  # the others did change


@pytest.mark.parametrize(("model", "changes"), CASES)
def test_in_eval_mode_the_same_batch_gives_the_same_embedding(build, model, changes):
    backbone = settled(build(model, **changes))
    x = batch(backbone, 4)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with torch.no_grad():
        assert torch.equal(backbone(x), backbone(x))
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())


@pytest.mark.parametrize(("model", "changes"), HONOUR_LENGTHS)
def test_padding_changes_no_embedding(build, model, changes):
    backbone = settled(build(model, **changes))
    assert backbone.takes_lengths
    lengths = torch.tensor([T, 11, 17, 14, 20])
    x = batch(backbone, len(lengths))
    for row, length in zip(x, lengths, strict=True):
        row[:, length:] = 0
    with torch.no_grad():
        padded = backbone(x, lengths)
        alone = torch.cat([backbone(row[None, :, :length]) for row, length in zip(x, lengths, strict=True)])
        deaf = backbone(x)
    torch.testing.assert_close(padded, alone, rtol=1e-5, atol=1e-5)
    assert (padded - deaf)[1:].abs().amax(dim=1).min() > 1e-4  # without lengths the padding counts as steps


@pytest.mark.parametrize(("model", "changes"), FIXED_LENGTH)
def test_what_needs_equal_lengths_says_so(build, model, changes):
    assert not build(model, **changes).takes_lengths


@pytest.mark.parametrize("readout", [r for r in get_args(Readout) if r != "flatten"])
@pytest.mark.parametrize("model", [m for m in FAMILIES if m != "fc"])
def test_every_other_readout_takes_lengths(build, model, readout):
    assert build(model, readout=readout).takes_lengths


DROPOUTS = [
    ("lstm", "dropout", {"num_layers": 1}),
    ("lstm", "dropout", {"num_layers": 2}),
    ("gru", "dropout", {"num_layers": 1}),
    ("gru", "dropout", {"num_layers": 2}),
    ("gru", "dropout", {"num_layers": 1, "readout": "mean"}),
    ("cnn1d", "dropout", {}),
    ("fc", "dropout", {}),
    ("fc", "dropout", {"hidden_sizes": []}),
    *[
        (model, key, {"num_layers": layers, other: 0.0})
        for model in ("lstm_fcn", "lstm_fcn_multi")
        for key, other in (("lstm_drop_out", "fc_drop_out"), ("fc_drop_out", "lstm_drop_out"))
        for layers in (1, 2)
    ],
]


@pytest.mark.parametrize(("model", "key", "changes"), DROPOUTS)
def test_dropout_acts_in_training_and_nowhere_else(build, model, key, changes):
    backbone = build(model, **changes, **{key: 0.5})
    x = batch(backbone, 8)
    backbone.train()
    assert not torch.equal(backbone(x), backbone(x))
    backbone.eval()
    assert torch.equal(backbone(x), backbone(x))


@pytest.mark.parametrize(("model", "key", "changes"), DROPOUTS)
def test_a_dropout_of_0_makes_training_deterministic(build, model, key, changes):
    backbone = build(model, **changes, **{key: 0.0}).train()
    x = batch(backbone, 8)
    assert torch.equal(backbone(x), backbone(x))


@pytest.mark.parametrize(("model", "key", "changes"), DROPOUTS)
def test_a_dropout_of_1_drops_its_whole_branch(build, model, key, changes):
    backbone = build(model, **changes, **{key: 1.0}).train()
    embedding = backbone(batch(backbone, 8))
    branches = {"lstm_drop_out": slice(0, 64), "fc_drop_out": slice(64, None)}  # lstm_hidden_size of the YAML files
    dropped = branches.get(key, slice(None))
    kept = torch.ones(embedding.shape[1], dtype=torch.bool)
    kept[dropped] = False
    assert not embedding[:, dropped].any()
    assert embedding[:, kept].abs().sum(dim=0).gt(0).all()


def test_the_dropout_between_recurrent_layers_is_on_top_of_that_on_the_embedding(build):
    torch.manual_seed(1)
    one, two = (build("gru", num_layers=n, dropout=0.5).rnn.dropout for n in (1, 2))
    assert (one, two) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("lstm_fcn", {}),
        ("cnn1d", {"kernel_size": 3, "stride": 1, "padding": 0}),
        ("cnn1d", {"kernel_size": 5, "stride": 2, "padding": 1}),
        ("cnn1d", {"kernel_size": 4, "stride": 3, "padding": 2}),
    ],
)
@pytest.mark.parametrize("lengths", [False, True])
def test_a_series_alone_trains_from_shortest_alone_on(build, model, changes, lengths):
    backbone = build(model, readout="mean", **changes).train()
    x = batch(backbone, 1)

    def embed(steps: int) -> Tensor:
        return backbone(x, torch.tensor([steps])) if lengths else backbone(x[:, :, :steps])

    assert embed(backbone.shortest_alone).isfinite().all()
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        embed(backbone.shortest_alone - 1)
