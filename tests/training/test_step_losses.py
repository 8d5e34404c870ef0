"""The losses of an epoch's steps."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tsmtl.training.step_losses import MOST, StepLosses


@given(steps=st.integers(0, 3 * MOST // 2), cut=st.integers(0, 3 * MOST // 2))
def test_all_losses_come_back_in_order_also_behind_a_cut(steps, cut):
    losses, expected = StepLosses(), torch.arange(2 * steps).float()
    for step, pair in enumerate(expected.view(-1, 2)):
        if step == cut:
            losses = StepLosses(losses.whole())
        losses.add(list(pair))
    assert len(losses) == len(expected)
    found = losses.whole()
    assert found is None if steps == 0 else torch.equal(found, expected)


def test_few_tensors_are_kept_however_many_steps_there_are():
    losses = StepLosses()
    for _ in range(10 * MOST):
        losses.add([torch.zeros(())] * 3)
    assert len(losses._last) < MOST
    assert len(losses._kept) == 30
