"""``data.augment`` and the settings of the training that go with it: what passes, and what is said of the rest."""

from typing import Any

import pytest

from tests.config.test_schema import composed
from tsmtl.config.errors import UserError
from tsmtl.config.schema import check

EACH = (
    "data.augment: must be a list, each {jitter: a number, greater than 0} or {scaling: a number, greater than 0} or "
    "{time_mask: a number in (0, 1)} or {channel_mask: a number in (0, 1)} or {window_warp: a number in (0, 1)} or "
    "{mixup: a number, greater than 0} "
)


def with_augment(value: Any) -> dict[str, Any]:
    flat = composed("gru", "multi")
    return {**flat, "data": {**flat["data"], "augment": value}}


def refused(flat: dict[str, Any]) -> list[str]:
    with pytest.raises(UserError) as refusal:
        check(flat)
    return refusal.value.lines


def test_changes_are_typed_as_a_list_and_keep_their_order(compose):
    typed = "data.augment=[{mixup:1},{time_mask: 0.5},{channel_mask:0.1},{window_warp:0.9},{scaling: 2},{jitter: 1e-3}]"
    assert compose(typed).data.changes == [
        *(("mixup", 1.0), ("time_mask", 0.5), ("channel_mask", 0.1)),
        *(("window_warp", 0.9), ("scaling", 2.0), ("jitter", 1e-3)),
    ]
    assert check(composed("gru", "multi")).data.changes == []


@pytest.mark.parametrize(
    "wrong",
    [
        [{"jiter": 0.1}],
        [{"jitter": 0}],
        [{"jitter": -1}],
        [{"scaling": 0}],
        [{"time_mask": 1}],
        [{"channel_mask": 0}],
        [{"window_warp": 1.5}],
        [{"mixup": True}],
        [{"mixup": "much"}],
        [{"mixup": None}],
        [{"jitter": 0.1, "scaling": 0.1}],
        [{"jitter": 0.1}, {"mixup": 0}],
        ["jitter"],
        "jitter",
        {"jitter": 0.1},
        [{}],
    ],
    ids=str,
)
def test_every_wrong_entry_is_one_line_with_all_names_and_ranges(wrong):
    assert refused(with_augment(wrong)) == [f"{EACH}(got {wrong!r})"]


def test_a_change_stands_once():
    assert refused(with_augment([{"jitter": 0.1}, {"mixup": 0.2}, {"jitter": 0.2}])) == [
        "data.augment: jitter stands there 2 times; once is enough"
    ]


@pytest.mark.parametrize(
    ("task", "key", "value", "line"),
    [
        ("multi", "epoch_fraction", 0, "must be a number in (0, 1] (got 0)"),
        ("multi", "epoch_fraction", 1.01, "must be a number in (0, 1] (got 1.01)"),
        (
            *("multi", "sampler", "balance"),
            "must be one of random, balanced, both_tasks (got 'balance'); did you mean 'balanced'?",
        ),
        ("multi", "regression_weights", "rar", "must be one of none, rare (got 'rar'); did you mean 'rare'?"),
        ("reg", "sampler", "balanced", "task=reg has no classes"),
        ("reg", "sampler", "both_tasks", "both_tasks is for several tasks; task=reg has one"),
        ("cls", "sampler", "both_tasks", "both_tasks is for several tasks; task=cls has one"),
        ("cls", "regression_weights", "rare", "task=cls has no number"),
    ],
)
def test_a_wrong_value_or_one_that_would_do_nothing_is_refused(task, key, value, line):
    flat = composed("gru", task)
    assert refused({**flat, "trainer": {**flat["trainer"], key: value}}) == [f"trainer.{key}: {line}"]


def test_two_classes_have_no_rare_numbers(compose):
    with pytest.raises(UserError) as refusal:
        compose("data=npz", "data.path=a", "data.class_target_2=b", "trainer.regression_weights=rare")
    assert refusal.value.lines == ["trainer.regression_weights: task=multi has no number with data.class_target_2"]


@pytest.mark.parametrize(
    ("task", "sampler", "becomes"),
    [
        ("reg", "balanced", "random"),
        ("reg", "both_tasks", "random"),
        ("cls", "both_tasks", "random"),
        ("cls", "balanced", "balanced"),
        ("multi", "both_tasks", "both_tasks"),
        ("reg", "random", "random"),
    ],
)
def test_a_pretraining_takes_of_the_trainer_what_fits_its_task(task, sampler, becomes):
    flat = composed("gru", "multi")
    flat = {**flat, "stage": "finetune", "pretrain": {**flat["pretrain"], "task": task}}
    flat["trainer"] = {**flat["trainer"], "sampler": sampler, "regression_weights": "rare"}
    settings = check(flat)
    assert settings.trainer.sampler == sampler
    assert settings.pretraining.trainer.sampler == becomes
    assert settings.pretraining.trainer.regression_weights == ("none" if task == "cls" else "rare")
