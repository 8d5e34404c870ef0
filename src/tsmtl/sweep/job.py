"""One job of a sweep: checked settings, and the folder that is its own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tsmtl.config.arguments import GROUPS
from tsmtl.config.identity import PLACES, sha256_of_values, without_places
from tsmtl.config.schema import Settings, check


@dataclass(frozen=True)
class Job:
    """A run that a sweep asks for.

    Attributes:
        swept: The settings that tell it from the other jobs, value by key.
        flat: All settings, as composed.
        typed: Keys that the user gave.
        choices: Chosen file of each config group.
        subdir: Name of its folder, ``{settings}`` and ``{hash}`` not yet filled in.
        folder: Its run folder; None while it has none.
        sweep: The sweep's folder; None while it has none.
        search: What a search asks of it; see :mod:`tsmtl.sweep.search`.
        label: How it is called in messages; None: by ``swept``.
    """

    swept: Mapping[str, str]
    flat: Mapping[str, Any]
    typed: frozenset[str]
    choices: Mapping[str, str]
    subdir: str = "{settings}-{hash}"
    folder: Path | None = None
    sweep: Path | None = None
    search: Mapping[str, Any] | None = field(default=None, compare=False)
    label: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """How it is called in messages: by the settings that tell it from the others, unless it has a label."""
        if self.label is not None:
            return self.label
        return " ".join(f"{key}={value}" for key, value in self.swept.items()) or "the one job"

    @property
    def key(self) -> str:
        """Hash of the settings that decide its result; where they are the same, so is the job.

        Of data and pretrained checkpoints in several places each place is a job of its own.
        """
        places = {k: v for k, v in self.swept.items() if k in PLACES}
        return sha256_of_values(without_places(self.flat), places)

    def settings(self) -> Settings:
        """Check the settings, those that name the job's folder filled in.

        Raises:
            UserError: If they are refused.
        """
        flat, path = dict(self.flat), self.flat.get("best_model_path")
        if isinstance(path, str) and self.folder is not None:
            flat["best_model_path"] = path.replace("{job}", self.folder.name)
        return replace(check(flat, self.typed, self.choices), sweep=self.sweep)

    def message(self) -> dict[str, Any]:
        """Give plain values for another process."""
        return {
            "swept": dict(self.swept),
            "flat": dict(self.flat),
            "typed": sorted(self.typed),
            "choices": dict(self.choices),
            "subdir": self.subdir,
            "folder": None if self.folder is None else str(self.folder),
            "sweep": None if self.sweep is None else str(self.sweep),
            "search": None if self.search is None else dict(self.search),
            "label": self.label,
        }

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "Job":
        """Make the job that :meth:`message` described."""
        places = {key: None if message[key] is None else Path(message[key]) for key in ("folder", "sweep")}
        return cls(**{**message, **places, "typed": frozenset(message["typed"])})


def value_of(flat: Mapping[str, Any], key: str, typed: str = "") -> str:
    """Give a setting as text in one form, however it was typed.

    Args:
        flat: All settings.
        key: Of the setting, dotted.
        typed: Its value as typed; given for a group chosen by the name of a file, and where there is no such setting.
    """
    value: Any = flat
    for part in key.split("."):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            return typed
    if key in GROUPS and isinstance(value, Mapping):
        return typed or str(value.get("source", ""))
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Needs:
    """What each job of a sweep takes of a machine.

    Attributes:
        gpu: Whether it uses a GPU where there is one.
        devices: Processes that share its training.
        threads: Of each of them, on the CPU, where they are asked for.
    """

    gpu: bool = False
    devices: int = 1
    threads: int = 1

    @property
    def cores(self) -> int:
        """Cores that it takes at least."""
        return self.devices * self.threads

    @classmethod
    def of(cls, jobs: Sequence["Job"]) -> "Needs":
        """Give what the most demanding of some jobs takes."""
        return cls(
            gpu=any(j.flat.get("device") == "cuda" for j in jobs),
            devices=max(j.flat.get("devices", 1) for j in jobs),
            threads=max(j.flat.get("trainer", {}).get("threads") or 1 for j in jobs),
        )


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        status: ``done``, ``failed`` (its own error, which would come again), ``killed`` (from outside), ``cut`` (a
            signal asked the sweep to end) or ``pruned`` (a search saw no use in it).
        reason: One line; empty for ``done``.
    """

    status: str
    reason: str = ""

    @property
    def words(self) -> str:
        """Status and reason, for people."""
        return ": ".join(filter(None, [self.status if not self.reason.startswith(self.status) else "", self.reason]))
