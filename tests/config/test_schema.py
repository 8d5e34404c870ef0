"""The specification's names, defaults and ranges, and the rules between settings."""

import functools
import math
from typing import Any

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from tsmtl.config.arguments import plain_settings
from tsmtl.config.errors import UserError
from tsmtl.config.location import config_dir
from tsmtl.config.schema import check

TINY = 1e-9


# The specification's table: model, task, key, default, values just inside the range, values just outside.
SPEC: list[tuple[str, str, str, Any, list[Any], list[Any]]] = [
    *[
        (model, "cls", key, default, inside, outside)
        for model in ("lstm", "gru")
        for key, default, inside, outside in [
            ("num_layers", 2, [1, 5], [0, -1, 1.5, "two"]),
            ("hidden_size", 64, [1, 512], [0, -3, 2.5]),
            ("dropout", 0.1, [0, 1, 0.5], [-TINY, 1 + TINY, "much"]),
            ("bidirectional", True, [True, False], [2, "perhaps"]),
            ("num_epochs", 1000, [1], [0, -1]),
            ("batch_size", 16, [1], [0, -1]),
            ("lr", 1e-4, [TINY, 0.1], [0, -1e-4, 0.1 + TINY, "abc", math.nan, math.inf]),
        ]
    ],
    ("cnn1d", "cls", "output_channels", 64, [1], [0, -1, 1.5]),
    ("cnn1d", "cls", "kernel_size", 3, [3, 5], [2, 0, -3]),
    ("cnn1d", "cls", "stride", 1, [1, 2], [0, -1]),
    ("cnn1d", "cls", "padding", 0, [0, 3], [-1, 0.5]),
    ("cnn1d", "cls", "dropout", 0.1, [0, 1], [-TINY, 1 + TINY]),
    ("cnn1d", "cls", "seq_len", None, [32], [0, -1, 1.5]),
    ("cnn1d", "cls", "num_epochs", 1000, [1], [0]),
    ("cnn1d", "cls", "batch_size", 16, [1], [0]),
    ("cnn1d", "cls", "lr", 1e-4, [0.1], [0, 0.11]),
    ("lstm_fcn", "reg", "num_layers", 2, [1], [0]),
    ("lstm_fcn", "reg", "lstm_drop_out", 0.1, [0, 1], [-TINY, 1 + TINY]),
    ("lstm_fcn", "reg", "fc_drop_out", 0.1, [0, 1], [-TINY, 1 + TINY]),
    ("lstm_fcn", "reg", "num_epochs", 1000, [1], [0]),
    ("lstm_fcn", "reg", "batch_size", 16, [1], [0]),
    ("lstm_fcn", "reg", "lr", 1e-4, [0.1], [0, 0.11]),
    ("lstm_fcn_multi", "multi", "num_layers", 1, [1, 2], [0]),
    ("lstm_fcn_multi", "multi", "lstm_drop_out", 0.4, [0, 1], [-TINY, 1 + TINY]),
    ("lstm_fcn_multi", "multi", "fc_drop_out", 0.1, [0, 1], [-TINY, 1 + TINY]),
    ("lstm_fcn_multi", "multi", "num_epochs", 150, [1], [0]),
    ("lstm_fcn_multi", "multi", "batch_size", 64, [1], [0]),
    ("lstm_fcn_multi", "multi", "lr", 1e-4, [0.1], [0, 0.11]),
    ("lstm_fcn_multi", "multi", "alpha", 0.5, [0, 1], [-TINY, 1 + TINY, "half"]),
    ("lstm_fcn_multi", "multi", "num_classes_1", None, [2], [1, 0, -1, 2.5]),
    ("lstm_fcn_multi", "multi", "num_classes_2", None, [1], [0, -1, 1.5]),
    ("fc", "cls", "dropout", 0.1, [0, 1], [-TINY, 1 + TINY]),
    ("fc", "cls", "bias", True, [False], [3, "maybe"]),
    ("fc", "cls", "num_epochs", 1000, [1], [0]),
    ("fc", "cls", "batch_size", 16, [1], [0]),
    ("fc", "cls", "lr", 1e-4, [0.1], [0, 0.11]),
    *[
        (model, "multi", key, default, inside, outside)
        for model in ("lstm", "gru", "cnn1d", "lstm_fcn", "lstm_fcn_multi", "fc")
        for key, default, inside, outside in [
            ("input_size", None, [1], [0, -1, 1.5]),
            ("device", "cuda", ["cpu"], ["gpu", "tpu", 0]),
        ]
    ],
    ("lstm", "cls", "num_classes", None, [2], [0, -1, 1]),
    ("lstm", "reg", "num_classes", None, [1], [0, 2]),
]
IDS = [f"{model}-{task}-{key}" for model, task, key, *_ in SPEC]


@functools.cache
def composed(model: str, task: str) -> dict[str, Any]:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return plain_settings(hydra_compose("train", [f"model={model}", f"task={task}"]))


@pytest.mark.parametrize(("model", "task", "key", "default", "inside", "outside"), SPEC, ids=IDS)
def test_defaults_are_the_specifications(model, task, key, default, inside, outside):
    assert check(composed(model, task)).flat[key] == default


@pytest.mark.parametrize(("model", "task", "key", "default", "inside", "outside"), SPEC, ids=IDS)
def test_values_inside_the_range_pass_and_outside_are_refused_in_one_line(model, task, key, default, inside, outside):
    for value in inside:
        check(composed(model, task) | {key: value})
    for value in outside:
        with pytest.raises(UserError) as refusal:
            check(composed(model, task) | {key: value})
        (line,) = refusal.value.lines
        assert line.startswith(f"{key}: ")
        assert f"(got {value!r}" in line


def test_model_and_task_names_get_a_suggestion_from_the_schema():
    with pytest.raises(UserError) as refusal:
        check({"model": 3, "task": "mult", "data": {"source": "npy"}, "trainer": {}})
    text = str(refusal.value)
    assert "model: must be one of lstm, gru, cnn1d, lstm_fcn, lstm_fcn_multi, fc (got 3)" in text
    assert "task: must be one of cls, reg, multi, custom (got 'mult'); did you mean 'multi'?" in text
    assert "data.source: must be one of synthetic, npz, vectors, ts, table, cmapss, archive (got 'npy')" in text


def test_all_problems_are_reported_at_once(compose):
    with pytest.raises(UserError) as refusal:
        compose("model=gru", "lr=abc", "hidden_size=0", "alpha=2", "data.noise=-1", "trainer.optimizer=adm", "sed=1")
    assert len(refusal.value.lines) == 6


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["model=gru", "hiden_size=1"], "hiden_size: unknown setting; did you mean 'hidden_size'?"),
        (["hiden_size=1"], "hiden_size: unknown setting; did you mean 'lstm_hidden_size'?"),
        (["model=lstm_fcn_multi", "dropout=0.3"], "dropout: not a setting of model=lstm_fcn_multi, but of model=lstm"),
        (["model=lstm_fcn", "task=cls", "alpha=0.3"], "alpha: not a setting of task=cls, but of task=multi"),
        (["data.n_instance=3"], "data.n_instance: unknown setting; did you mean 'data.n_instances'?"),
        (["data.path=x.npz"], "data.path: not a setting of data.source=synthetic, but of data.source=npz"),
        (["trainer.lr=0.1"], "trainer.lr: unknown setting"),
        (
            ["trainer.tracker=[tensorboard,mlfow]"],
            "trainer.tracker: must be a list, each one of tensorboard, mlflow (got ['tensorboard', 'mlfow']); "
            "did you mean 'mlflow'?",
        ),
        (
            ["trainer.tracker=mlflow"],
            "trainer.tracker: must be a list, each one of tensorboard, mlflow (got 'mlflow'); did you mean '[mlflow]'?",
        ),
        (["trainer.tracker=[mlflow,mlflow]"], "trainer.tracker: mlflow stands there 2 times; once is enough"),
        (["task=cls"], "model: lstm_fcn_multi learns task=multi or custom; for task=cls take model=lstm_fcn"),
        (["num_classes_2=3"], "num_classes_2: 3 classes mean a second classification"),
        (["kernel_sizes=[8,5]"], "kernel_sizes: must be as many as conv_channels (got 2 and 3)"),
        (["model=cnn1d", "seq_len=4", "kernel_size=5"], "kernel_size: 5 does not fit into the 4 + 2 * 0 steps"),
        (["model=cnn1d", "seq_len=5", "kernel_size=5"], "kernel_size: 5 does not fit into the 1 + 2 * 0 steps"),
        (["trainer.monitor=val/cls/f1"], "trainer.monitor: must be one of val/loss, val/joint, val/cls/loss"),
        (
            ["model=gru", "task=reg", "trainer.monitor=val/cls/loss"],
            "trainer.monitor: must be one of val/loss, val/joint, val/reg",
        ),
        (["model=gru", "task=reg", "trainer.class_weights=balanced"], "trainer.class_weights: task=reg has no classes"),
        (
            ["data=npz", "data.path=a", "data.class_target_2=b", "trainer.class_weights=[1,2]"],
            "trainer.class_weights: a list has the weights of one task's classes, and several tasks have classes; take "
            "balanced",
        ),
        (["trainer.warmup_epochs=150"], "trainer.warmup_epochs: must be less than num_epochs (got 150 and 150)"),
        (["data=npz"], "data.path: missing; give data.path=... (the file; data=npz: or a folder of .npy files; "),
        (["data=npz", "data.path=a", "data.class_target=null"], "data.class_target: task=multi needs a class"),
        (
            ["data=npz", "data.path=a", "data.regression_target=null"],
            "data.regression_target: task=multi needs a number (or data.class_target_2, a second class)",
        ),
        (["data=npz", "data.path=a", "data.split=group"], "data.group_key: split=group needs the name of an array"),
        (
            ["data=npz", "data.path=a", "data.split=stratified", "data.group_key=g"],
            "data.split: stratified would divide the groups of data.group_key; take split=group",
        ),
        (
            ["data=npz", "data.path=a", "data.split_key=f", "data.test_fold=[]"],
            "data.test_fold: must be a whole number",
        ),
        (["data.clip_target=[3,3]"], "data.clip_target: the first number must be less than the second (got [3, 3])"),
        (["data.clip_target=[null,null]"], "data.clip_target: [null, null] clips nothing; give one end at least"),
        (["data.clip_target=[0]"], "data.clip_target: must be [a number or null, a number or null] or null (got [0])"),
        (["data.signed_log=0"], "data.signed_log: must be a number, at least 1e-12 or null (got 0)"),
        (["data.input_limit=0"], "data.input_limit: must be a number, greater than 0 or null (got 0)"),
        (["data.input_limit=5", "data.scale=none"], "data.input_limit: counts in units of data.scale, and scale=none"),
        (["data.regression_metrics=[phm]"], "data.regression_metrics: must be a list, each phm08 (got ['phm'])"),
        (["trainer.monitor=val/reg/rmse_capped"], "trainer.monitor: val/reg/rmse_capped needs data.clip_target"),
        (["trainer.weight_average=1"], "trainer.weight_average: must be a number in (0, 1) or null (got 1)"),
        (
            ["trainer.keep=last", "trainer.early_stopping_patience=3"],
            "trainer.early_stopping_patience: waits for epochs without a better score",
        ),
        (["trainer.keep=last", "trainer.schedule=plateau"], "trainer.schedule: waits for epochs without a better"),
        (["trainer.joint_weights={clss:2}"], "trainer.joint_weights: clss is no task of this run; there are cls, reg"),
        (["trainer.joint_weights={cls:0,reg:0}"], "trainer.joint_weights: one must be above 0"),
        (["trainer.joint_weights={cls:-1}"], "trainer.joint_weights: must be"),
        (["trainer.joint_metrics.cls=f1"], "trainer.joint_metrics: must be"),
        (["trainer.joint_metrics.reg=mae_capped"], "trainer.joint_metrics: mae_capped needs data.clip_target"),
        (["trainer.monitor=val/reg/phm08"], "trainer.monitor: must be one of val/loss"),
        (["data=npz", "data.path=a", "data.test_fold=1"], "data.split_key: test_fold and val_fold need the name"),
    ],
)
def test_a_refused_setting_says_what_must_hold(compose, arguments, line):
    with pytest.raises(UserError) as refusal:
        compose(*arguments)
    assert any(said.startswith(line) for said in refusal.value.lines), refusal.value.lines


def test_second_classification_needs_num_classes_2_above_1(compose):
    two_classes = ["data=npz", "data.path=a", "data.class_target_2=valve"]
    assert compose(*two_classes, "num_classes_2=4").tasks == {"cls": "cls", "cls_2": "cls"}
    with pytest.raises(UserError, match="1 means regression"):
        compose(*two_classes, "num_classes_2=1")


def test_alpha_weighs_task_1_and_the_rest_weighs_task_2(compose):
    assert compose("alpha=0.3").weights == {"cls": 0.3, "reg": 0.7}
    assert compose("model=gru", "task=reg").weights == {"reg": 1.0}


def test_metrics_that_are_asked_for_may_choose_the_best_epoch(compose):
    clip = "data.clip_target=[null,125]"
    assert compose(clip, "trainer.monitor=val/reg/r2_capped").data.clip_target == [None, 125]
    assert compose("data.regression_metrics=[phm08]", "trainer.monitor=val/reg/phm08").data.clip_target is None


def test_advised_values_are_a_warning_not_an_error(compose):
    advice = compose("model=cnn1d", "kernel_size=4", "output_channels=48").model.advice()
    assert advice == [
        "kernel_size: an odd filter size is advised (got 4)",
        "output_channels: a power of two is advised (got 48)",
    ]
    assert compose("model=cnn1d").model.advice() == []


@pytest.mark.parametrize("choice", ["hydraulic", "har", "gas_drift"])
def test_every_experiment_composes(compose, choice):
    settings = compose(f"experiment={choice}")
    assert choice in settings.data.path


@pytest.mark.parametrize(
    "arguments",
    [
        *[[f"model={model}"] for model in ("lstm", "gru", "cnn1d", "lstm_fcn", "lstm_fcn_multi", "fc")],
        *[["model=lstm_fcn", f"task={task}"] for task in ("reg", "cls", "multi")],
        *[[f"data={data}", "data.path=a"] for data in ("npz", "ts", "hydraulic", "gas_drift")],
        ["data=har", "task=cls", "model=gru"],
        ["data=synthetic"],
    ],
    ids=" ".join,
)
def test_every_choice_of_every_group_composes(compose, arguments):
    settings = compose(*arguments)
    for argument in arguments:
        group, _, choice = argument.partition("=")
        if group in ("model", "task"):
            assert settings.flat[group] == choice
