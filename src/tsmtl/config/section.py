"""Base of all sections of the settings, and the words for what a setting must be."""

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(strict=False, coerce_numbers_to_str=True, min_length=1)]


class Section(BaseModel):
    """A group of settings: names, types and ranges; the defaults stand in the YAML files alone."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        frozen=True,
        defer_build=True,  # a run reads five sections of a dozen
    )


def expectation(field: FieldInfo) -> str:
    """Say what a setting must be, such as ``a whole number, at least 1``."""
    return _describe(field.annotation, list(field.metadata))


def list_of_sections(annotation: Any) -> type[Section] | None:
    """Give the section of which a setting is a list; None of another setting."""
    if get_origin(annotation) is not list:
        return None
    (element,) = get_args(annotation)
    return element if isinstance(element, type) and issubclass(element, Section) else None


def _describe(annotation: Any, metadata: list[Any]) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        for item in more:
            metadata = metadata + (list(item.metadata) if isinstance(item, FieldInfo) else [item])
        return _describe(inner, metadata)
    if origin in (Union, UnionType):
        parts = [a for a in get_args(annotation) if a is not NoneType]
        said = " or ".join(_describe(a, metadata) for a in parts)
        return said + (" or null" if NoneType in get_args(annotation) else "")
    if origin is Literal:
        values = [str(v) for v in get_args(annotation)]
        return values[0] if len(values) == 1 else "one of " + ", ".join(values)
    if origin is list:
        (element,) = get_args(annotation)
        if sizes := [m.max_length for m in metadata if isinstance(m, MaxLen)]:  # of a fixed length
            return "[" + ", ".join([_describe(element, [])] * sizes[0]) + "]"
        at_least = ", not empty" if any(isinstance(m, MinLen) for m in metadata) else ""
        if (entry := list_of_sections(annotation)) is not None:
            needed = ", ".join(key for key, field in entry.model_fields.items() if field.is_required())
            return f"a list{at_least}, each a group of settings, {needed} among them"
        return f"a list{at_least}, each {_describe(element, [])}"
    if origin is dict:
        return "{" + ", ".join(f"name: {_describe(value, [])}" for value in get_args(annotation)[1:]) + "}"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "{" + ", ".join(f"{key}: {expectation(field)}" for key, field in annotation.model_fields.items()) + "}"
    noun = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}.get(annotation, "a value")
    bounds = _bounds(metadata)
    return f"{noun}{bounds}"


def _number(value: object) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _bounds(metadata: list[Any]) -> str:
    limits: dict[type, Any] = {type(m): m for m in metadata if isinstance(m, Ge | Gt | Le | Lt)}
    low = limits.get(Ge) or limits.get(Gt)
    high = limits.get(Le) or limits.get(Lt)
    if low and high:
        left = f"[{_number(low.ge)}" if isinstance(low, Ge) else f"({_number(low.gt)}"
        right = f"{_number(high.le)}]" if isinstance(high, Le) else f"{_number(high.lt)})"
        return f" in {left}, {right}"
    if low:
        return f", at least {_number(low.ge)}" if isinstance(low, Ge) else f", greater than {_number(low.gt)}"
    if high:
        return f", at most {_number(high.le)}" if isinstance(high, Le) else f", less than {_number(high.lt)}"
    return ""
