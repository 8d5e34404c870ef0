"""Operations of a step, against a count by hand and against torch's counter."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cases import CASES
from benchmarks.flops import flops_of, training_flops
from benchmarks.stock_models import stock_model


def test_linear_layers_by_hand():
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 2))
    first, second = 2 * 3 * 5 * 7, 2 * 3 * 7 * 2  # of a batch of 3
    assert training_flops(model, torch.randn(3, 5)) == 2 * first + 3 * second


def test_a_convolution_by_hand():
    model = nn.Conv1d(4, 6, 3)  # 10 steps become 8
    assert training_flops(model, torch.randn(2, 4, 10)) == 2 * (2 * 2 * 8 * 6 * 4 * 3)


@pytest.mark.parametrize(("layer", "gates"), [(nn.GRU, 3), (nn.LSTM, 4)])
def test_recurrent_layers_by_hand(layer, gates):
    model = layer(5, 8, num_layers=2, bidirectional=True, batch_first=True)
    each = 2 * (3 * 10) * 2 * gates * 8  # 3 series of 10 steps, both directions, a column of weights
    inputs, states = 2 * each * 5 + 3 * each * 16, 2 * 3 * each * 8
    assert training_flops(model, torch.randn(3, 10, 5)) == inputs + states


@pytest.mark.parametrize("name", ["fc", "cnn1d"])
def test_the_count_is_that_of_torch(name):
    case = next(case for case in CASES if case.name == name)
    model = stock_model(case.model, case.shape, case.settings)
    with FlopCounterMode(display=False) as counter:
        sum(output.sum() for output in model(torch.randn(4, *case.shape))).backward()
    assert flops_of(model, case.shape, 4) == counter.get_total_flops()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
def test_operations_grow_with_the_batch():
    for case in CASES:
        model = stock_model(case.model, case.shape, case.settings)
        assert flops_of(model, case.shape, 6) == 3 * flops_of(model, case.shape, 2), case.name
