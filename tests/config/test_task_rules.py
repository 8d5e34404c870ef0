"""What ``task=custom`` takes and refuses, all problems at once."""

import pytest
from torch import nn

from tsmtl.config.errors import UserError
from tsmtl.config.task_rules import TAKEN

FAULT, WEAR = "{name: state, kind: cls, target: fault}", "{name: wear, kind: reg, target: wear}"
FLAGS = "{name: flags, kind: multilabel, target: [faulty, worn]}"
TABLE = ["data=table", "data.path=a.csv", "data.window=3"]


def refused(compose, *arguments: str) -> list[str]:
    with pytest.raises(UserError) as refusal:
        compose(*arguments)
    return refusal.value.lines


def test_no_name_of_a_head_can_hide_what_holds_the_heads():
    assert {name for name in dir(nn.ModuleDict()) if not name.startswith("_")} - {"T_destination"} <= TAKEN


@pytest.mark.parametrize("name", ["model", "joint", "Joint", "x"])  # best_model.pt, best_joint.pt, an export's input
def test_a_name_that_stands_for_something_else_in_files_is_refused(compose, name):
    said = f"tasks.{name}.name: {name} has a meaning of its own in tsmtl's files; take another, such as {name}_task"
    assert refused(compose, "task=custom", f"tasks=[{{name: {name}, kind: reg, target: wear}}]") == [said]


def test_settings_know_kinds_shares_and_places(compose):
    settings = compose("task=custom", f"tasks=[{FAULT},{WEAR},{FLAGS}]", "tasks.1.weight=3", "tasks.2.weight=0")
    assert settings.tasks == {"state": "cls", "wear": "reg", "flags": "multilabel"}
    assert settings.weights == {"state": 0.25, "wear": 0.75, "flags": 0}
    assert settings.data.place_of("flags").keys == ("faulty", "worn")
    assert compose("task=custom", f"tasks=[{FAULT},{WEAR}]", "weighting=mgda").weights == {"state": 0.5, "wear": 0.5}


def test_the_places_of_other_tasks_are_those_of_the_data(compose):
    settings = compose("data=npz", "data.path=a.npz", "data.class_target=state", "data.regression_unit=bar")
    assert settings.data.named == {}
    assert settings.data.place_of("cls").keys == ("state",)
    assert settings.data.place_of("reg").unit == "bar"


@pytest.mark.parametrize(
    ("tasks", "lines"),
    [
        (
            "[{name: a, kind: clss, target: fault}]",
            ["tasks.a.kind: must be one of cls, reg, multilabel (got 'clss'); did you mean 'cls'?"],
        ),
        ("[{kind: cls, target: fault}]", ["tasks[0].name: missing; each task needs it (text)"]),
        ("[{name: a, kind: reg, taget: wear}]", ["tasks.a.taget: unknown setting; did you mean 'target'?"]),
        ("[3]", ["tasks[0]: must be a group of settings (got 3)"]),
        ("[{name: a, kind: reg, target: wear, weight: -1}]", ["tasks.a.weight: must be a number, at least 0 (got -1)"]),
        ("[]", ["tasks: must be a list, not empty, each a group of settings, name, kind among them (got [])"]),
        (
            "[{name: a/b, kind: reg, target: wear}]",
            ["tasks.a/b.name: must be of letters, digits and _, a letter first (got 'a/b')"],
        ),
        (
            "[{name: 'a b', kind: reg, target: wear}]",
            ["tasks.a b.name: must be of letters, digits and _, a letter first (got 'a b')"],
        ),
        (
            "[{name: type, kind: reg, target: wear}]",
            ["tasks.type.name: type has a meaning of its own in tsmtl's files; take another, such as type_task"],
        ),
        (f"[{WEAR},{WEAR}]", ["tasks: 2 tasks are named wear; each needs a name of its own"]),
        (
            f"[{WEAR},{{name: Wear, kind: reg, target: severity}}]",
            [
                "tasks: wear, Wear differ in case only, and so would the names of their files; each needs a name of "
                "its own"
            ],
        ),
        (
            "[{name: a, kind: reg, target: wear, loss: bce, names: [q]}]",
            [
                "tasks.a.loss: of kind=reg must be one of mse, mae, huber (got 'bce')",
                "tasks.a.names: are of classes and labels; kind=reg has none",
                "tasks.a.names: data=synthetic has names of its own",
            ],
        ),
        (
            "[{name: a, kind: cls, target: [fault, wear_level], unit: mm, size: 1}]",
            [
                "tasks.a.target: a class stands in one array or column; several are for reg and multilabel",
                "tasks.a.size: a classification has 2 classes at least (got 1)",
                "tasks.a.unit: is of numbers, and kind=cls has none",
            ],
        ),
        (
            "[{name: a, kind: multilabel, target: [faulty, worm]}]",
            [
                "tasks.a.target: of kind=multilabel must be one of faulty, severe, worn (got 'worm'); "
                "did you mean 'worn'?"
            ],
        ),
        ("[{name: a, kind: multilabel, target: [worn, worn]}]", ["tasks.a.target: names worn more than once"]),
        ("[{name: a, kind: reg}]", ["tasks.a.target: missing; name an array or column"]),
        ("[{name: a, kind: reg, target: wear, weight: 0}]", ["tasks: one weight must be above 0"]),
    ],
)
def test_a_wrong_list_of_tasks_is_refused(compose, tasks, lines):
    assert refused(compose, "task=custom", f"tasks={tasks}") == lines


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["task=custom"],
            "tasks: must be a list, not empty, each a group of settings, name, kind among them (got null)",
        ),
        (
            [f"tasks=[{FAULT},{WEAR}]", "tasks.0.weight=2", "weighting=mgda"],
            "tasks.state.weight: is read by weighting=fixed; mgda finds weights of its own",
        ),
        (
            [f"tasks=[{FAULT}]", "weighting=mgda"],
            "weighting: mgda weighs tasks against each other; task=custom has one, take fixed",
        ),
        (
            [f"tasks=[{FAULT},{{name: b, kind: cls, target: wear_level}}]", "trainer.class_weights=[1,2]"],
            "trainer.class_weights: a list has the weights of one task's classes, and several tasks have classes; take "
            "balanced",
        ),
        ([f"tasks=[{FLAGS}]", "trainer.label_smoothing=0.1"], "trainer.label_smoothing: task=custom has no classes"),
        (
            [f"tasks=[{FLAGS}]", "trainer.sampler=both_tasks"],
            "trainer.sampler: both_tasks is for several tasks; task=custom has one",
        ),
        (
            [f"tasks=[{FLAGS}]", "trainer.monitor=val/flags/f1"],
            "trainer.monitor: must be one of val/loss, val/joint, val/flags/loss, val/flags/micro_f1, "
            "val/flags/macro_f1, val/flags/auroc, val/flags/subset_accuracy, val/flags/log_loss "
            "(got 'val/flags/f1'); did you mean 'val/flags/micro_f1'?",
        ),
        (
            [f"tasks=[{FLAGS}]", "stage=finetune", "pretrain.task=reg"],
            "pretrain.task: must be one of flags, custom (got 'reg')",
        ),
        (
            [*TABLE, f"tasks=[{FAULT}]"],
            "data.channels: task=custom needs the columns of the input by name or pattern: without, the target of a "
            "task that is left out would become input",
        ),
        (
            [*TABLE, f"tasks=[{FLAGS}]", "data.channels=[a]", "data.class_reduce=mean"],
            "data.class_reduce: of labels must be one of last, first, mode, max (got 'mean')",
        ),
        (
            [*TABLE, f"tasks=[{FAULT}]", "data.channels=[a]", "data.condition=[fault]"],
            "data.condition: 'fault' is the target of task state; the input would tell the answer",
        ),
        (
            [*TABLE, f"tasks=[{FAULT},{{name: b, kind: cls, target: c}}]", "data.channels=[a]", "data.class_bins=[1]"],
            "data.class_bins: divides one column, and several are classes; make columns of the others",
        ),
        (
            ["data=ts", "data.path=a.ts", "tasks=[{name: a, kind: cls},{name: b, kind: reg}]"],
            "tasks: a set of data=ts has one target per instance, a class or a number (got 2 tasks); data=npz, "
            "data=vectors and data=table take several",
        ),
        (
            ["data=ts", "data.path=a.ts", "tasks=[{name: a, kind: cls, target: b}]"],
            "tasks.a.target: is not read of data=ts, whose file says it itself",
        ),
    ],
)
def test_what_does_not_go_with_the_tasks_is_refused(compose, arguments, line):
    assert refused(compose, "task=custom", *arguments) == [line]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            [f"tasks=[{FAULT},{WEAR}]", "tasks.2.weight=2"],
            "tasks.2: there are 2 tasks, counted from 0 (tasks.0, tasks.1)",
        ),
        ([f"tasks=[{WEAR}]", "tasks.1.weight=2"], "tasks.1: there is 1 task, counted from 0 (tasks.0)"),
        (["tasks=[]", "tasks.0.weight=2"], "tasks.0: the list is empty"),
        (
            [f"tasks=[{FAULT}]", "data.augment=[{flip: 0.1},{flip: 0.1},{flip: 0.1}]", "data.augment.7.flip=1"],
            "data.augment.7: there are 3 entries, counted from 0 (data.augment.0 to data.augment.2)",
        ),
    ],
)
def test_a_place_beyond_a_list_is_refused_with_those_there_are(tsmtl_train, arguments, line):
    answer = tsmtl_train("task=custom", *arguments)
    assert (answer.code, answer.lines) == (2, [f"tsmtl-train: {line}"])


def test_a_task_is_changed_by_its_place_and_not_by_its_name(tsmtl_train):
    said = "settings: 'wear' is no place in a list; its entries count from 0, as in tasks.0.weight=2"
    for word in ("tasks.wear.weight=3", "tasks.wear={weight: 3}"):
        answer = tsmtl_train("task=custom", f"tasks=[{FAULT},{WEAR}]", word)
        assert (answer.code, answer.lines) == (2, [f"tsmtl-train: {said}"])


@pytest.mark.parametrize(
    ("targets", "line"),
    [
        ("[{kind: cls, target: [nope]}]", "must be one of fault, wear_level (got 'nope')"),
        ("[{kind: cls, target: [fault,wear_level]}]", "a class stands in one array or column (got fault, wear_level)"),
        ("[{kind: multilabel, target: []}]", "needs its target; name an array or column"),
    ],
)
def test_splits_are_drawn_by_targets_that_the_source_has(compose, targets, line):
    (said,) = refused(compose, f"data.split_targets={targets}")
    assert said.startswith("data.split_targets: of kind=")
    assert said.endswith(line)
    compose("data.split_targets=[{kind: cls, target: []},{kind: reg, target: [wear]}]")


def test_a_list_of_tasks_belongs_to_custom_alone(compose):
    assert refused(compose, f"tasks=[{FAULT}]") == ["tasks: not a setting of task=multi, but of task=custom"]


def test_a_pretraining_takes_one_of_the_tasks_and_leaves_what_is_of_others(compose):
    settings = compose(
        *("task=custom", f"tasks=[{FAULT},{WEAR},{FLAGS}]", "tasks.2.weight=3", "stage=finetune"),
        *("pretrain.task=flags", "trainer.monitor=val/wear/rmse", "trainer.sampler=both_tasks"),
        *("trainer.label_smoothing=0.1", "trainer.regression_weights=rare", "trainer.joint_weights={wear: 2}"),
    ).pretraining
    assert settings.tasks == {"flags": "multilabel"}
    assert settings.weights == {"flags": 1}
    assert settings.trainer.monitor == "val/loss"
    assert settings.trainer.sampler == "random"
    assert settings.trainer.label_smoothing == 0
    assert settings.trainer.regression_weights == "none"
    assert settings.trainer.joint_weights == {}
    whole = compose("task=custom", f"tasks=[{FAULT},{WEAR}]", "stage=finetune", "pretrain.task=custom").pretraining
    assert whole.tasks == {"state": "cls", "wear": "reg"}
