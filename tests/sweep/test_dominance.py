"""Which settings no other one beats."""

from tsmtl.sweep.dominance import non_dominated


def test_non_dominated_by_a_hand_count():
    up_and_down = {"f1": True, "rmse": False}
    values = [(0.9, 5.0), (0.8, 4.0), (0.8, 5.0), (0.95, 9.0), (0.9, 5.0)]  # the third is beaten by the first
    points = [dict(zip(up_and_down, value, strict=True)) for value in values]
    assert non_dominated(points, up_and_down) == [True, True, False, True, True]
