"""The checked settings of a run: flat as the user types them, in sections as the code reads them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from tsmtl.config.data_settings import DataSettings
from tsmtl.config.errors import UserError
from tsmtl.config.identity import sha256_of_values
from tsmtl.config.model_settings import FAMILIES, ModelSettings, PluginSettings
from tsmtl.config.pretraining import DROPOUTS, own_keys, pretraining_keys, pretraining_settings
from tsmtl.config.rules import RULES
from tsmtl.config.run_settings import TASKS, PretrainSettings, RunSettings, TaskSettings
from tsmtl.config.section import Section, expectation, list_of_sections
from tsmtl.config.sources import SOURCES
from tsmtl.config.task_kinds import fixed_shares, target_places, task_kinds
from tsmtl.config.task_rules import unknown_key
from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.config.unread import unread_settings
from tsmtl.config.weighting_settings import WEIGHTINGS, AnyWeighting
from tsmtl.config.words import did_you_mean, must_be_one_of

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Settings:
    """All settings of a run, checked.

    Attributes:
        flat: The settings as composed, for the record.
        typed: Keys that the user gave on the command line.
        choices: Chosen file of each config group.
        pretraining: Settings of the pretraining in the same job, where there is one.
        sweep: Folder of the sweep that the run is a job of, absolute; None for a run of its own.
        shared: Folder of what jobs on this machine share that read the same data; None where they share nothing.
    """

    run: RunSettings
    task: TaskSettings
    model: ModelSettings
    data: DataSettings
    trainer: TrainerSettings
    weighting: AnyWeighting
    pretrain: PretrainSettings
    flat: dict[str, Any]
    typed: frozenset[str] = frozenset()
    choices: Mapping[str, str] = field(default_factory=dict)
    pretraining: "Settings | None" = None
    sweep: Path | None = None
    shared: Path | None = None

    @property
    def tasks(self) -> dict[str, str]:
        """Kind (``cls``, ``reg`` or ``multilabel``) by task name, task 1 first."""
        return task_kinds(self.task, self.data)

    @property
    def data_name(self) -> str:
        """Hash of what says which data is read, its tasks in their order: where it is the same, so is the data."""
        places = [(task, asdict(place)) for task, place in self.data.named.items()]
        return sha256_of_values(self.data.model_dump(mode="json"), list(self.tasks.items()), places)[:16]

    @property
    def task_said(self) -> str:
        """The task for people: its name, and of ``task=custom`` those of its tasks."""
        return self.task.task + (f" ({', '.join(self.tasks)})" if self.task.task == "custom" else "")

    @property
    def weights(self) -> dict[str, float]:
        """Share of each task in the loss: ``alpha * L1 + (1 - alpha) * L2`` for two, else by ``weight``.

        With another weighting than ``fixed`` the shares are equal: in train and val losses of all tasks together, which
        then compare over epochs and methods.
        """
        if self.weighting.name != "fixed":
            return dict.fromkeys(self.tasks, 1.0 / len(self.tasks))
        return fixed_shares(self.task, list(self.tasks))


def check(
    flat: Mapping[str, Any],
    typed: frozenset[str] = frozenset(),
    choices: Mapping[str, str] | None = None,
    own: frozenset[str] | None = None,
) -> Settings:
    """Check composed settings.

    Args:
        flat: Plain values as composed: the flat keys, and the mappings ``data``, ``trainer`` and ``weighting``.
        typed: Keys that the user gave on the command line.
        choices: Chosen file of each config group.
        own: Keys that were typed for these settings alone, and must be read; None: all that were typed.

    Raises:
        UserError: With one line for every problem.
    """
    problems: list[str] = []
    model_name, task_name = flat.get("model"), flat.get("task")
    parts = _parts(flat)
    sections: dict[str, Section | None] = {"run": check_section(RunSettings, parts["run"], "", problems)}
    if isinstance(model_name, str):
        family = FAMILIES.get(model_name, PluginSettings)
        sections["model"] = check_section(family, parts["model"], "", problems, f"model={model_name}")
    else:
        problems.append(f"model: {must_be_one_of(FAMILIES, model_name)}")
    if task_name in TASKS:
        sections["task"] = check_section(TASKS[task_name], parts["task"], "", problems, f"task={task_name}")
    else:
        problems.append(f"task: {must_be_one_of(TASKS, task_name)}")
    data = flat.get("data")
    source = data.get("source") if isinstance(data, Mapping) else None
    if source in SOURCES:
        sections["data"] = check_section(SOURCES[source], data, "data", problems, f"data.source={source}")
    else:
        problems.append(f"data.source: {must_be_one_of(SOURCES, source)}")
    sections["trainer"] = check_section(TrainerSettings, flat.get("trainer"), "trainer", problems)
    weighting = flat.get("weighting")
    method = weighting.get("name") if isinstance(weighting, Mapping) else None
    if method in WEIGHTINGS:
        sections["weighting"] = check_section(
            WEIGHTINGS[method], weighting, "weighting", problems, f"weighting={method}"
        )
    else:
        problems.append(f"weighting: {must_be_one_of(WEIGHTINGS, method)}")
    sections["pretrain"] = check_section(PretrainSettings, flat.get("pretrain"), "pretrain", problems)

    for rule, needed in RULES:
        read = [sections.get(name) for name in needed]
        if all(section is not None for section in read):
            problems += rule(*read)
    read = [sections.get(name) for name in ("run", "pretrain", "data", "weighting")]
    if all(section is not None for section in read):
        said = {line.partition(":")[0] for line in problems}
        unread = unread_settings(*cast("tuple[Any, Any, Any, Any]", tuple(read)), typed if own is None else own)
        problems += [line for line in unread if line.partition(":")[0] not in said]
    if problems:
        raise UserError(problems)
    pretraining = _check_pretraining(flat, cast(PretrainSettings, sections["pretrain"]), typed, choices or {})
    task, data_section = cast(TaskSettings, sections["task"]), cast(DataSettings, sections["data"])
    sections["data"] = data_section.naming(target_places(task))
    return Settings(
        **cast(dict[str, Any], sections),
        flat=dict(flat),
        typed=typed,
        choices=choices or {},
        pretraining=pretraining,
    )


def _check_pretraining(
    flat: Mapping[str, Any], pretrain: PretrainSettings, typed: frozenset[str], choices: Mapping[str, str]
) -> Settings | None:
    if pretrain.task is None:
        return None
    own = pretraining_settings(flat, pretrain)
    chosen = {**choices, "task": own["task"]} if choices else {}
    if "model" in chosen and own["model"] != flat["model"]:
        chosen["model"] = own["model"]
    if "weighting" in chosen:
        chosen["weighting"] = own["weighting"]["name"]
    try:
        checked = check(own, pretraining_keys(typed), chosen, own_keys(typed))
    except UserError as error:
        raise UserError([f"pretrain.{line}" for line in error.lines]) from error
    theirs = checked.model.backbone_arguments()
    pairs = [(key, flat.get(key), theirs.get(key)) for key in pretrain.changes if key in theirs and key not in DROPOUTS]
    fitted = ("signed_log", "scale", "input_limit", "missing")
    pairs += [(f"data.{k}", flat["data"].get(k), own["data"].get(k)) for k in fitted]
    if problems := [
        f"{key}: {a} contradicts pretrain.{key}, which is {b}" for key, a, b in pairs if key in typed and a != b
    ]:
        raise UserError(problems)
    return checked


def _parts(flat: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Divide the flat keys; what is nobody's goes to the model, whose section refuses it or hands it to a plugin."""
    parts: dict[str, dict[str, Any]] = {"run": {}, "task": {}, "model": {}}
    for key, value in flat.items():
        if key in RunSettings.model_fields:
            parts["run"][key] = value
        elif any(key in task.model_fields for task in TASKS.values()):
            parts["task"][key] = value
        elif key not in ("data", "trainer", "weighting", "pretrain"):
            parts["model"][key] = value
    return parts


def check_section(
    section: type[S],
    value: Any,
    prefix: str,
    problems: list[str],
    owner: str = "tsmtl-train",
    unknown: Callable[[str, str, type[Section], str], str] | None = None,
) -> S | None:
    """Build one section; every problem becomes a line in ``problems``.

    Args:
        section: Its class.
        value: The mapping of its settings.
        prefix: Name of the group that it stands in, or nothing.
        problems: Where lines go.
        owner: Whose settings they are, for messages.
        unknown: Says why a key is refused, from its full name, its name, the section and the owner.
    """
    if not isinstance(value, Mapping):
        problems.append(f"{prefix}: must be a group of settings (got {value!r})")
        return None
    try:
        return section.model_validate(dict(value))
    except ValidationError as error:
        found = [(e["loc"], e["type"]) for e in error.errors(include_url=False)]
        # What is wrong within a value is wrong with the value.
        for key, kind in dict.fromkeys((str(loc[0]), kind if len(loc) == 1 else "") for loc, kind in found):
            name = f"{prefix}.{key}" if prefix else key
            if not kind and _check_entries(section.model_fields[key].annotation, value[key], name, problems):
                continue
            if kind == "extra_forbidden":
                line = f"{name}: {(unknown or _unknown)(name, key, section, owner)}"
            elif kind == "missing":
                line = f"{name}: missing; {owner} needs it ({expectation(section.model_fields[key])})"
            elif value[key] is None and expectation(section.model_fields[key]) == "text":  # has no default
                line = f"{name}: missing; give {name}=... ({section.model_fields[key].description})"
            else:
                line = f"{name}: {_refused(value[key], expectation(section.model_fields[key]))}"
            if line not in problems:  # a union reports each of its members
                problems.append(line)
    return None


def _check_entries(annotation: Any, value: Any, name: str, problems: list[str]) -> bool:
    """Check each entry of a list of sections by itself; say whether the value is such a list."""
    entry = list_of_sections(annotation)
    if entry is None or not isinstance(value, list):
        return False
    known = list(entry.model_fields)
    for place, settings in enumerate(value):
        called = settings.get("name") if isinstance(settings, Mapping) else None
        own = f"{name}.{called}" if isinstance(called, str) and called else f"{name}[{place}]"
        check_section(entry, settings, own, problems, "each task", lambda full, key, *rest: unknown_key(key, known))
    return True


def _refused(got: Any, expected: str) -> str:
    said = "null" if got is None else repr(got)
    before, _, named = expected.rpartition("one of ")
    choices = named.split(", ") if "one of " in expected else []
    if isinstance(got, str) and before.startswith("a list"):
        choices = [f"[{choice}]" for choice in choices]
    wrong = next((element for element in got if element not in choices), None) if isinstance(got, list) else got
    hint = did_you_mean(wrong, choices) if isinstance(wrong, str) else ""
    return f"must be {expected} (got {said}){hint}"


def _unknown(name: str, key: str, section: type[Section], owner: str) -> str:
    """Say why a key is refused: it is another model's, task's or source's, or nobody's."""
    others: dict[str, type[Section]] = {}
    if name.startswith("data."):
        others = {f"data.source={source}": c for source, c in SOURCES.items()}
        known = {f"data.{k}" for k in section.model_fields}
    elif name.startswith("trainer."):
        known = {f"trainer.{k}" for k in section.model_fields}
    elif name.startswith("weighting."):
        others = {f"weighting={method}": c for method, c in WEIGHTINGS.items()}
        known = {f"weighting.{k}" for k in section.model_fields}
    else:
        others = {f"model={m}": c for m, c in FAMILIES.items()} | {f"task={t}": c for t, c in TASKS.items()}
        known = {*section.model_fields, *RunSettings.model_fields, "data", "trainer", "weighting", "pretrain"}
        known |= {k for task in TASKS.values() for k in task.model_fields}
    owners = [other for other, c in others.items() if key in c.model_fields]
    if owners:
        return f"not a setting of {owner}, but of {', '.join(owners)}"
    if hint := did_you_mean(name, known):
        return f"unknown setting{hint}"
    prefix = name.removesuffix(key)
    elsewhere = did_you_mean(name, {prefix + k for c in others.values() for k in c.model_fields})
    return "unknown setting" + (elsewhere or "; tsmtl-train --help lists all")
