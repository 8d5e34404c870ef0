"""Rules between settings; each takes the sections it reads and gives a line per broken rule."""

from collections.abc import Callable

from tsmtl.config.data_settings import ArchiveSettings, ArraySettings, DataSettings, NpzSettings
from tsmtl.config.model_settings import CNN1DSettings, LSTMFCNSettings, ModelSettings
from tsmtl.config.pretraining import SHARED
from tsmtl.config.run_settings import (
    MultiTaskSettings,
    PretrainSettings,
    RunSettings,
    SingleTaskSettings,
    TaskSettings,
)
from tsmtl.config.table_rules import table_reading, table_splits, table_targets
from tsmtl.config.table_settings import TableSettings
from tsmtl.config.task_kinds import task_kinds
from tsmtl.config.task_rules import (
    kinds_of_tasks,
    names_of_tasks,
    targets_of_splits,
    targets_of_tasks,
    task_of_pretraining,
    weights_of_tasks,
)
from tsmtl.config.trainer_rules import (
    joint_score,
    last_epoch_waits_for_none,
    looks_at_vectors,
    monitor_of_the_tasks,
    several_to_compare,
    trackers,
    weights,
)
from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.config.weighting_rules import several_to_weigh


def _model_takes_task(task: TaskSettings, model: ModelSettings) -> list[str]:
    if model.model == "lstm_fcn_multi" and task.task not in ("multi", "custom"):
        return [f"model: lstm_fcn_multi learns task=multi or custom; for task={task.task} take model=lstm_fcn"]
    return []


def _stage(run: RunSettings, pretrain: PretrainSettings) -> list[str]:
    problems = []
    if run.stage == "finetune":
        if run.pretrained_path is None and pretrain.task is None:
            problems.append(
                "pretrained_path: stage=finetune needs the checkpoint to start from, or pretrain.task=reg or cls to "
                "make one first"
            )
        if run.pretrained_path is not None and pretrain.task is not None:
            problems.append("pretrain.task: pretrained_path names a checkpoint already; take one of the two")
    else:
        if run.pretrained_path is not None:
            problems.append(f"stage: {run.stage} would not read pretrained_path; take stage=finetune")
        if run.freeze:
            problems.append("freeze: true trains the heads on a loaded backbone alone; it needs stage=finetune")
        if run.overlap != "refuse":
            problems.append(f"overlap: {run.overlap} is about the checkpoint's training; it needs stage=finetune")
        if pretrain.task is not None:
            problems.append(f"stage: {run.stage} would not pretrain; pretrain.task needs stage=finetune")
    problems += [
        f"pretrain.{key}: not a setting of a pretraining; it has that of the job"
        for key in pretrain.changes
        if key in SHARED
    ]
    if pretrain.task is None and pretrain.changes:
        problems += [f"pretrain.{key}: nothing is pretrained without pretrain.task" for key in pretrain.changes]
    return problems


def _backbone_learns(run: RunSettings, model: ModelSettings, trainer: TrainerSettings) -> list[str]:
    problems = []
    at = trainer.unfreeze_at
    if at is not None and run.stage != "finetune":
        problems.append("trainer.unfreeze_at: a backbone that nothing was loaded into learns from the start")
    elif at is not None and run.freeze:
        problems.append("trainer.unfreeze_at: freeze=true keeps the backbone as loaded; take one of the two")
    elif at is not None and at > model.num_epochs:
        problems.append(
            f"trainer.unfreeze_at: must come within num_epochs (got {at} and {model.num_epochs}); freeze=true never "
            "unfreezes"
        )
    if run.freeze and trainer.lr_backbone_factor != 1:
        problems.append("trainer.lr_backbone_factor: freeze=true keeps the backbone as loaded; take one of the two")
    return problems


def _num_classes(task: TaskSettings) -> list[str]:
    if not isinstance(task, SingleTaskSettings) or task.num_classes is None:
        return []
    if task.task == "reg" and task.num_classes != 1:
        return [f"num_classes: task=reg has 1, the mark of a regression (got {task.num_classes})"]
    if task.task == "cls" and task.num_classes == 1:
        return ["num_classes: task=cls needs at least 2 classes (got 1, the mark of task=reg)"]
    return []


def _second_task(task: TaskSettings, data: DataSettings) -> list[str]:
    if not isinstance(task, MultiTaskSettings) or task.num_classes_2 is None:
        return []
    second_is_class = "cls_2" in task_kinds(task, data)
    if second_is_class and task.num_classes_2 == 1:
        return ["num_classes_2: 1 means regression, but data.class_target_2 names a class for task 2"]
    if not second_is_class and task.num_classes_2 > 1:
        return [
            f"num_classes_2: {task.num_classes_2} classes mean a second classification: "
            "name its array with data.class_target_2 (data=npz)"
        ]
    return []


def _one_kernel_per_convolution(model: ModelSettings) -> list[str]:
    if isinstance(model, LSTMFCNSettings) and len(model.conv_channels) != len(model.kernel_sizes):
        kernels, channels = len(model.kernel_sizes), len(model.conv_channels)
        return [f"kernel_sizes: must be as many as conv_channels (got {kernels} and {channels})"]
    return []


def _kernel_fits_typed_length(model: ModelSettings) -> list[str]:
    if isinstance(model, CNN1DSettings) and model.seq_len is not None:
        return kernel_problems(model, model.seq_len)
    return []


def kernel_problems(model: CNN1DSettings, seq_len: int) -> list[str]:
    """Say where a filter of ``cnn1d`` is longer than what it slides over, for a series of ``seq_len`` steps."""
    steps = seq_len
    for block in (1, 2):
        room = steps + 2 * model.padding
        if model.kernel_size > room:
            return [
                f"kernel_size: {model.kernel_size} does not fit into the {steps} + 2 * {model.padding} steps "
                f"that convolution {block} reads (seq_len={seq_len}); take a smaller kernel_size or stride, "
                "or more padding"
            ]
        steps = (room - model.kernel_size) // model.stride + 1
    return []


def _targets_for_task(task: TaskSettings, data: DataSettings) -> list[str]:
    if not isinstance(data, ArraySettings | TableSettings):
        return []
    problems = []
    noun = "array" if isinstance(data, NpzSettings) else "column"
    second = data.class_target_2 if isinstance(data, ArraySettings) else None
    if task.task in ("cls", "multi") and data.class_target is None:
        fit = " or take task=reg" if data.regression_target else ""
        problems.append(f"data.class_target: task={task.task} needs a class; name its {noun}{fit}")
    if task.task == "reg" and data.regression_target is None:
        fit = " or take task=cls" if data.class_target else ""
        problems.append(f"data.regression_target: task=reg needs a number; name its {noun}{fit}")
    if task.task == "multi" and data.regression_target is None and second is None:
        other = " (or data.class_target_2, a second class)" if isinstance(data, ArraySettings) else ""
        problems.append(f"data.regression_target: task=multi needs a number{other}; name its {noun} or take task=cls")
    return problems


def _archive_has_one_target(task: TaskSettings, data: DataSettings) -> list[str]:
    if isinstance(data, ArchiveSettings) and task.task == "multi":
        return [
            "task: a set of data=archive has a class or a number per instance, never both; take task=cls or task=reg"
        ]
    return []


def _split_keys(data: DataSettings) -> list[str]:
    if not isinstance(data, ArraySettings):
        return []
    noun = "an array" if isinstance(data, NpzSettings) else "a column"
    problems = []
    if data.split == "group" and data.group_key is None:
        problems.append(f"data.group_key: split=group needs the name of {noun} of groups")
    if data.split == "stratified" and data.group_key is not None:
        problems.append("data.split: stratified would divide the groups of data.group_key; take split=group")
    if data.split in ("group", "stratified") and data.split_key is not None:
        problems.append(f"data.split: {data.split} would not read data.split_key; take split=given")
    if data.split_key is None and (data.test_fold is not None or data.val_fold is not None):
        problems.append(f"data.split_key: test_fold and val_fold need the name of {noun} of fold ids")
    return problems


def _clip_target(data: DataSettings) -> list[str]:
    if data.clip_target is None:
        return []
    low, high = data.clip_target
    if low is None and high is None:
        return ["data.clip_target: [null, null] clips nothing; give one end at least, or null"]
    if low is not None and high is not None and low >= high:
        return [f"data.clip_target: the first number must be less than the second (got [{low:g}, {high:g}])"]
    return []


def _limit_has_a_unit(data: DataSettings) -> list[str]:
    if data.scale == "none" and data.input_limit is not None:
        return ["data.input_limit: counts in units of data.scale, and scale=none has none; take null"]
    return []


def _changed_labels(task: TaskSettings, data: DataSettings) -> list[str]:
    kinds = task_kinds(task, data)
    named = {"label_share": data.label_share, "shuffled_labels": data.shuffled_labels}
    return [
        f"data.{key}: {name} is no task of this run; there {'is' if len(kinds) == 1 else 'are'} {', '.join(kinds)}"
        for key, names in named.items()
        for name in names
        if name not in kinds
    ]


def _changes_stand_once(data: DataSettings) -> list[str]:
    names = [name for name, _ in data.changes]
    return [
        f"data.augment: {name} stands there {names.count(name)} times; once is enough"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]


def _every_device_has_rows(run: RunSettings, model: ModelSettings) -> list[str]:
    if run.devices <= model.batch_size:
        return []
    return [f"devices: share a batch, and must be batch_size at most (got {run.devices} and {model.batch_size})"]


def _warmup_ends(model: ModelSettings, trainer: TrainerSettings) -> list[str]:
    if trainer.warmup_epochs < model.num_epochs:
        return []
    return [f"trainer.warmup_epochs: must be less than num_epochs (got {trainer.warmup_epochs} and {model.num_epochs})"]


RULES: list[tuple[Callable[..., list[str]], tuple[str, ...]]] = [
    (_stage, ("run", "pretrain")),
    (_backbone_learns, ("run", "model", "trainer")),
    (_model_takes_task, ("task", "model")),
    (names_of_tasks, ("task",)),
    (kinds_of_tasks, ("task",)),
    (targets_of_tasks, ("task", "data")),
    (targets_of_splits, ("data",)),
    (weights_of_tasks, ("task", "weighting")),
    (task_of_pretraining, ("task", "pretrain")),
    (_num_classes, ("task",)),
    (_second_task, ("task", "data")),
    (_one_kernel_per_convolution, ("model",)),
    (_kernel_fits_typed_length, ("model",)),
    (_targets_for_task, ("task", "data")),
    (_archive_has_one_target, ("task", "data")),
    (_split_keys, ("data",)),
    (table_targets, ("data",)),
    (table_splits, ("data",)),
    (table_reading, ("data",)),
    (_clip_target, ("data",)),
    (_limit_has_a_unit, ("data",)),
    (monitor_of_the_tasks, ("task", "data", "trainer")),
    (joint_score, ("task", "data", "trainer")),
    (last_epoch_waits_for_none, ("trainer",)),
    (several_to_compare, ("task", "data", "trainer")),
    (weights, ("task", "data", "trainer")),
    (several_to_weigh, ("task", "weighting")),
    (_changed_labels, ("task", "data")),
    (_changes_stand_once, ("data",)),
    (_every_device_has_rows, ("run", "model")),
    (_warmup_ends, ("model", "trainer")),
    (trackers, ("trainer",)),
    (looks_at_vectors, ("model", "trainer")),
]
