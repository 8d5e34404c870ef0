"""What makes two runs the same: the settings that decide the result."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Where things lie, on what they run, who is told, what is drawn; data and pretrained checkpoint go by their content.
PLACES = frozenset(
    {
        *("resume", "device", "pretrained_path", "pretrain.folder", "trainer.tracker", "trainer.cuda_graph"),
        *("trainer.pictures", "data.path", "data.root", "data.folder", "data.download", "data.spill_folder"),
    }
)

UNSET = object()  # what a setting is where the other side alone has it


def without_places(flat: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give flat settings less those that only say where things lie."""
    kept = {key: value for key, value in flat.items() if prefix + key not in PLACES}
    return {k: without_places(v, f"{prefix}{k}.") if isinstance(v, dict) else v for k, v in kept.items()}


def flattened(flat: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give settings by their dotted keys; a mapping within them has no value of its own."""
    found: dict[str, Any] = {}
    for key, value in flat.items():
        found |= flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def sha256_of_values(*values: Any) -> str:
    """Give the SHA-256 of plain values, 64 hexadecimal digits.

    The order of keys does not matter, nor whether a whole number is written as a float.
    """
    return hashlib.sha256(json.dumps(_one_form(values), sort_keys=True).encode()).hexdigest()


def _one_form(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _one_form(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_one_form(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """List the dotted keys whose values differ, with both values."""
    found: list[tuple[str, Any, Any]] = []
    for key in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(key, UNSET), theirs.get(key, UNSET)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append((prefix + str(key), a, b))
    return found
