import math

import pytest

from tsmtl.training.best_epoch import BestEpoch

NAN = math.nan


@pytest.mark.parametrize(
    ("higher_is_better", "scores", "better", "epoch", "score"),
    [
        (False, [3, 2, 2.5, 1, 1], [True, True, False, True, False], 4, 1),
        (True, [3, 2, 4, 4, -1], [True, False, True, False, False], 3, 4),
        (True, [-3, -2], [True, True], 2, -2),
        (False, [NAN, 5, NAN, 4], [False, True, False, True], 4, 4),
        (True, [NAN, 0.5, NAN, 0.4], [False, True, False, False], 2, 0.5),
        (False, [math.inf, 7], [True, True], 2, 7),
    ],
)
def test_the_best_epoch_is_the_first_of_the_best_score(higher_is_better, scores, better, epoch, score):
    best = BestEpoch(higher_is_better, patience=None)
    assert [best.update(i, s) for i, s in enumerate(scores, 1)] == better
    assert (best.epoch, best.score) == (epoch, score)
    assert not best.exhausted


def test_a_score_that_is_not_a_number_is_never_the_best():
    best = BestEpoch(higher_is_better=False, patience=None)
    assert [best.update(epoch, NAN) for epoch in (1, 2)] == [False, False]
    assert best.epoch == 0


def test_where_each_epoch_is_taken_the_last_one_is_the_best_whatever_its_score():
    best = BestEpoch(higher_is_better=False, patience=None, take_each=True)
    assert all(best.update(epoch, score) for epoch, score in enumerate([3.0, 1.0, NAN, 2.0], 1))
    assert (best.epoch, best.score) == (4, 2.0)


@pytest.mark.parametrize("patience", [1, 2, 4])
@pytest.mark.parametrize("waiting", [9.0, NAN])
def test_the_patience_ends_after_exactly_so_many_epochs_without_a_better_score(patience, waiting):
    best = BestEpoch(higher_is_better=False, patience=patience)
    assert not best.exhausted
    best.update(1, 5.0)
    best.update(2, 4.0)
    for waited in range(1, patience + 1):
        assert not best.exhausted
        best.update(2 + waited, waiting)
    assert best.exhausted
