import math

import pytest
import torch

from tsmtl.training.best_epoch import BestEpoch, BestOfEach

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


SCORES, HIGHER = {"a": "val/a/rmse", "b": "val/b/f1"}, {"val/a/rmse": False, "val/b/f1": True}


def test_several_scores_keep_the_weights_of_their_own_epochs_and_one_copy_where_they_agree():
    each, asked = BestOfEach(SCORES, HIGHER), []

    def weights() -> dict[str, torch.Tensor]:
        asked.append(epoch)
        return {"w": torch.tensor(float(epoch))}

    better = []
    for epoch, (a, b) in enumerate([(3.0, 0.5), (2.0, 0.4), (2.5, 0.3), (2.1, NAN), (1.0, 0.9)], 1):
        better.append(each.update({"epoch": epoch, "val/a/rmse": a, "val/b/f1": b}, weights))
        if epoch == 3:
            assert {name: (best.epoch, best.score) for name, best in each.best.items()} == {"a": (2, 2), "b": (1, 0.5)}
            assert {name: kept["w"].item() for name, kept in each.weights.items()} == {"a": 2, "b": 1}
    assert better == [["a", "b"], ["a"], [], [], ["a", "b"]]
    assert asked == [1, 2, 5]
    assert each.weights["a"] is each.weights["b"]


def test_several_scores_go_on_from_their_state():
    whole, cut = BestOfEach(SCORES, HIGHER), BestOfEach(SCORES, HIGHER)
    rows = [{"epoch": e, "val/a/rmse": a, "val/b/f1": 1 / a} for e, a in enumerate([3.0, 2.0, 2.5, 1.0], 1)]
    for row in rows[:2]:
        whole.update(row, lambda row=row: {"w": torch.tensor(row["epoch"])})
    cut.load_state(whole.state())
    for row in rows[2:]:
        kept = [each.update(row, lambda row=row: {"w": torch.tensor(row["epoch"])}) for each in (whole, cut)]
        assert kept[0] == kept[1]
    assert cut.state() == whole.state()
