"""The losses of an epoch's steps."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tsmtl.training.step_losses import MOST, StepLosses


@given(steps=st.integers(0, 5 * MOST), cut=st.integers(0, 5 * MOST), tasks=st.integers(1, 3))
def test_all_losses_come_back_in_order_also_behind_a_cut_and_a_look(steps, cut, tasks):
    losses, expected = StepLosses(), torch.arange((1 + tasks) * steps).float()
    for step, of_step in enumerate(expected.view(-1, 1 + tasks)):
        if step == cut:
            losses = StepLosses(losses.whole())
        losses.add([value.clone() for value in of_step])
        assert len(losses) == (1 + tasks) * (step + 1)
    found = losses.whole()
    assert found is None if steps == 0 else torch.equal(found, expected)


def test_few_tensors_are_kept_however_many_steps_there_are():
    losses = StepLosses()
    for _ in range(1000):
        losses.add([torch.zeros(())] * 3)
        assert len(losses._last) < MOST


def test_what_was_given_before_stays_as_it_was():
    losses = StepLosses()
    losses.add([torch.tensor(1.0)] * 2)
    before = losses.whole()
    losses = StepLosses(before)
    losses.add([torch.tensor(2.0)] * MOST)
    assert before is not None
    assert before.tolist() == [1, 1]
