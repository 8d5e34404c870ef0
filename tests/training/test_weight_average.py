"""The average of the weights: its shares by hand; in a training: tests/training/test_loop.py."""

import pytest
import torch

from tsmtl.models.backbone import Backbone
from tsmtl.models.lstm import LSTM
from tsmtl.models.masking import BatchNorm
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.weight_average import WeightAverage


class Normed(Backbone):
    """A batch norm alone: one weight and statistics per feature."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.embed_dim = BatchNorm(1), 1


def weight(model: MultiTaskModel) -> torch.Tensor:
    return model.state_dict()["backbone.norm.weight"]


def test_each_step_counts_decay_times_the_next_one_and_the_start_nothing():
    model = MultiTaskModel(Normed(), {"reg": 1})
    weight(model).fill_(100.0)
    average = WeightAverage(model, decay=0.5)
    seen = []
    for value in (2.0, 4.0, 8.0):
        weight(model).fill_(value)
        average.update(model)
        seen.append(weight(average.model).item())
    # By hand: 2; (2 / 2 + 4) / 1.5; (2 / 4 + 4 / 2 + 8) / 1.75.
    assert seen == pytest.approx([2.0, 10 / 3, 6.0], rel=1e-6)
    assert seen[0] == 2.0


def test_the_average_of_a_recurrent_layer_lies_in_one_piece(monkeypatch):
    """As cuDNN wants it, else it says so and copies the weights at every call; a CPU takes them as they are."""
    flattened = []
    monkeypatch.setattr(torch.nn.LSTM, "flatten_parameters", lambda layer: flattened.append(layer))
    average = WeightAverage(MultiTaskModel(LSTM(2, 8, 3, 1, 0.0, False, "last"), {"reg": 1}), decay=0.5)
    assert flattened[-1] is average.model.backbone.rnn


def test_with_a_decay_of_1_all_steps_count_alike():
    model = MultiTaskModel(Normed(), {"reg": 1})
    average = WeightAverage(model, decay=1.0)
    seen = []
    for value in (2.0, 4.0, 9.0):
        weight(model).fill_(value)
        average.update(model)
        seen.append(weight(average.model).item())
    assert seen == pytest.approx([2.0, 3.0, 5.0], rel=1e-6)


def test_statistics_of_a_batch_norm_are_averaged_and_its_counter_is_the_last():
    model = MultiTaskModel(Normed(), {"reg": 1})
    average = WeightAverage(model, decay=0.25)
    state = model.state_dict()
    for step, (mean, variance) in enumerate([(1.0, 3.0), (5.0, 13.0)], start=1):
        state["backbone.norm.running_mean"].fill_(mean)
        state["backbone.norm.running_var"].fill_(variance)
        state["backbone.norm.num_batches_tracked"].fill_(step)
        average.update(model)
    found = average.model.state_dict()
    # By hand: shares of 0.25 / 1.25 = 0.2 and 0.8.
    assert found["backbone.norm.running_mean"].item() == pytest.approx(0.2 * 1 + 0.8 * 5)
    assert found["backbone.norm.running_var"].item() == pytest.approx(0.2 * 3 + 0.8 * 13)
    assert found["backbone.norm.num_batches_tracked"].item() == 2
