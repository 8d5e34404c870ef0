"""Rules of ``task=custom``; each gives a line per broken rule."""

import re

from tsmtl.config.data_settings import ArchiveSettings, DataSettings, SyntheticSettings, TsSettings
from tsmtl.config.run_settings import NamedTask, PretrainSettings, TaskSettings
from tsmtl.config.table_settings import TableSettings
from tsmtl.config.task_kinds import named_tasks
from tsmtl.config.weighting_settings import AnyWeighting
from tsmtl.config.words import did_you_mean, must_be_one_of

LOSSES = {"cls": ("cross_entropy",), "reg": ("mse", "mae", "huber"), "multilabel": ("bce",)}
SIMULATED = {  # what data=synthetic knows of an instance
    "cls": ("fault", "wear_level"),
    "reg": ("severity", "wear"),
    "multilabel": ("faulty", "severe", "worn"),
}
OF_NAMED_LABELS = ("last", "first", "mode", "max")  # ways to reduce rows of labels to those of a window
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_COLUMNS = frozenset({"x", "model", "loss", "joint", "instance", "entity", "time", "row", "epoch", "custom"})
# Attributes of torch.nn.ModuleDict, which holds the heads: none of them can be the name of one.
_OF_MODULES = frozenset(
    {
        *("add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "clear", "compile", "cpu"),
        *("cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward", "get_buffer", "get_extra_state"),
        *("get_parameter", "get_submodule", "half", "ipu", "items", "keys", "load_state_dict", "modules", "mtia"),
        *("named_buffers", "named_children", "named_modules", "named_parameters", "parameters", "pop"),
        *("register_backward_hook", "register_buffer", "register_forward_hook", "register_forward_pre_hook"),
        *("register_full_backward_hook", "register_full_backward_pre_hook", "register_load_state_dict_post_hook"),
        *(
            "register_load_state_dict_pre_hook",
            "register_module",
            "register_parameter",
            "register_state_dict_post_hook",
        ),
        *("register_state_dict_pre_hook", "requires_grad_", "set_extra_state", "set_submodule", "share_memory"),
        *("state_dict", "to", "to_empty", "train", "training", "type", "update", "values", "xpu", "zero_grad"),
    }
)
TAKEN = _COLUMNS | _OF_MODULES


def names_of_tasks(task: TaskSettings) -> list[str]:
    """Check that names can stand in metrics, columns and files, each for one task; not all file systems know case."""
    names = [named.name for named in named_tasks(task)]
    problems = [
        f"tasks.{name}.name: must be of letters, digits and _, a letter first (got {name!r})"
        for name in dict.fromkeys(names)
        if not _NAME.fullmatch(name)
    ]
    problems += [
        f"tasks.{name}.name: {name} has a meaning of its own in tsmtl's files; take another, such as {name}_task"
        for name in dict.fromkeys(names)
        if name.casefold() in TAKEN
    ]
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name.casefold(), []).append(name)
    for same in alike.values():
        spelled = list(dict.fromkeys(same))
        if len(spelled) > 1:
            problems.append(
                f"tasks: {', '.join(spelled)} differ in case only, and so would the names of their files; each needs a "
                "name of its own"
            )
        elif len(same) > 1:
            problems.append(f"tasks: {len(same)} tasks are named {same[0]}; each needs a name of its own")
    return problems


def kinds_of_tasks(task: TaskSettings) -> list[str]:
    """Check that what a task says of its target and loss is of its kind."""
    return [f"tasks.{named.name}.{line}" for named in named_tasks(task) for line in _of_kind(named)]


def _of_kind(named: NamedTask) -> list[str]:
    problems = []
    if named.loss is not None and named.loss not in LOSSES[named.kind]:
        said = must_be_one_of(LOSSES[named.kind], named.loss)
        problems.append(f"loss: of kind={named.kind} {said}")
    if named.kind == "cls" and len(named.targets) > 1:
        problems.append("target: a class stands in one array or column; several are for reg and multilabel")
    if twice := [key for key in dict.fromkeys(named.targets) if named.targets.count(key) > 1]:
        problems.append(f"target: names {', '.join(twice)} more than once")
    if named.kind == "cls" and named.size == 1:
        problems.append("size: a classification has 2 classes at least (got 1)")
    if named.unit is not None and named.kind != "reg":
        problems.append(f"unit: is of numbers, and kind={named.kind} has none")
    if named.names is not None:
        if named.kind == "reg":
            problems.append("names: are of classes and labels; kind=reg has none")
        elif len(set(named.names)) < len(named.names):
            problems.append(f"names: must differ (got {', '.join(named.names)})")
        elif named.size is not None and named.size != len(named.names):
            problems.append(f"names: must be as many as size says (got {len(named.names)} and {named.size})")
    return problems


def targets_of_tasks(task: TaskSettings, data: DataSettings) -> list[str]:
    """Check that the source of the data has such targets."""
    tasks = named_tasks(task)
    if not tasks:
        return []
    if isinstance(data, TsSettings | ArchiveSettings):
        return _of_archives(tasks, data)
    problems = [f"tasks.{named.name}.target: missing; name an array or column" for named in tasks if not named.targets]
    if isinstance(data, SyntheticSettings):
        for named in tasks:
            choices = SIMULATED[named.kind]
            problems += [
                f"tasks.{named.name}.target: of kind={named.kind} {must_be_one_of(choices, key)}"
                for key in named.targets
                if key not in choices
            ]
            if named.names is not None:
                problems.append(f"tasks.{named.name}.names: data=synthetic has names of its own")
    if isinstance(data, TableSettings):
        problems += _of_tables(tasks, data)
    return problems


def targets_of_splits(data: DataSettings) -> list[str]:
    """Check that the source has the targets that random splits are to be drawn by."""
    problems = []
    for target in data.split_targets or []:
        said = f"data.split_targets: of kind={target.kind}"
        if isinstance(data, SyntheticSettings):
            choices = SIMULATED[target.kind]
            problems += [f"{said} {must_be_one_of(choices, key)}" for key in target.target if key not in choices]
            named = target.kind != "multilabel"  # [] stands for the first of the choices
        else:
            named = isinstance(data, TsSettings | ArchiveSettings)
        if not target.target and not named:
            problems.append(f"{said} needs its target; name an array or column")
        if target.kind == "cls" and len(target.target) > 1:
            problems.append(f"{said} a class stands in one array or column (got {', '.join(target.target)})")
    return problems


def _of_archives(tasks: list[NamedTask], data: DataSettings) -> list[str]:
    problems = []
    if len(tasks) > 1:
        problems.append(
            f"tasks: a set of data={data.source} has one target per instance, a class or a number (got {len(tasks)} "
            "tasks); data=npz, data=vectors and data=table take several"
        )
    for named in tasks:
        if named.kind == "multilabel":
            problems.append(f"tasks.{named.name}.kind: a set of data={data.source} has a class or a number")
        problems += [
            f"tasks.{named.name}.{key}: is not read of data={data.source}, whose file says it itself"
            for key in ("target", "names")
            if getattr(named, key) is not None
        ]
    return problems


def _of_tables(tasks: list[NamedTask], data: TableSettings) -> list[str]:
    problems = []
    classes = [named for named in tasks if named.kind == "cls"]
    if data.channels is None:
        problems.append(
            "data.channels: task=custom needs the columns of the input by name or pattern: without, the target of a "
            "task that is left out would become input"
        )
    if data.class_bins is not None and len({named.targets for named in classes}) > 1:
        problems.append("data.class_bins: divides one column, and several are classes; make columns of the others")
    if data.class_bins is None and classes and data.class_reduce in ("mean", "change"):
        problems.append(f"data.class_bins: class_reduce={data.class_reduce} gives a number; bounds make classes of it")
    if any(named.kind == "multilabel" for named in tasks) and data.class_reduce not in OF_NAMED_LABELS:
        problems.append(f"data.class_reduce: of labels {must_be_one_of(OF_NAMED_LABELS, data.class_reduce)}")
    if data.class_bins is not None or data.class_reduce == "max":
        problems += [
            f"tasks.{named.name}.names: data.class_bin_names names classes that are made of a number"
            for named in classes
            if named.names is not None
        ]
    aside = {"data.condition": data.condition or [], "data.split_key": [str(data.split_key)]}
    for setting, columns in aside.items():
        problems += [
            f"{setting}: '{key}' is the target of task {named.name}; the input would tell the answer"
            for named in tasks
            for key in named.targets
            if key in columns
        ]
    return problems


def weights_of_tasks(task: TaskSettings, weighting: AnyWeighting) -> list[str]:
    """Check that some task has a weight, and that none is typed where a method finds its own."""
    tasks = named_tasks(task)
    if weighting.name != "fixed":
        return [
            f"tasks.{named.name}.weight: is read by weighting=fixed; {weighting.name} finds weights of its own"
            for named in tasks
            if named.weight != 1
        ]
    if tasks and not any(named.weight for named in tasks):
        return ["tasks: one weight must be above 0"]
    return []


def task_of_pretraining(task: TaskSettings, pretrain: PretrainSettings) -> list[str]:
    """Check that what is pretrained on is a task."""
    if pretrain.task is None:
        return []
    custom = task.task == "custom"
    choices = [*(named.name for named in named_tasks(task)), "custom"] if custom else ["cls", "reg", "multi"]
    if pretrain.task in choices:
        return []
    return [f"pretrain.task: {must_be_one_of(choices, pretrain.task)}"]


def unknown_key(key: str, known: list[str]) -> str:
    """Say why a key within an entry of ``tasks`` is refused."""
    return "unknown setting" + (did_you_mean(key, known) or f"; a task has {', '.join(known)}")
