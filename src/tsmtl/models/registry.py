"""Names of backbones, the shipped and the user's own, and how to build one."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import TypeAdapter, ValidationError

from tsmtl.config.errors import UserError, first_line
from tsmtl.config.garbage import PLUGINS
from tsmtl.models.backbone import Backbone
from tsmtl.models.cnn1d import CNN1D
from tsmtl.models.fc import FC
from tsmtl.models.gru import GRU
from tsmtl.models.lstm import LSTM
from tsmtl.models.lstm_fcn import LSTMFCN

BACKBONES: dict[str, type[Backbone]] = {
    "lstm": LSTM,
    "gru": GRU,
    "cnn1d": CNN1D,
    "lstm_fcn": LSTMFCN,
    "lstm_fcn_multi": LSTMFCN,
    "fc": FC,
}
B = TypeVar("B", bound=type[Backbone])


def register_backbone(name: str) -> Callable[[B], B]:
    """Make a class the backbone of ``model=name``.

    The class derives from :class:`tsmtl.models.Backbone`. Its constructor takes ``input_size`` (C), ``seq_len`` (T) if
    it needs it, and further arguments with type hints, which become settings of the file ``model/name.yaml``.

    Raises:
        UserError: If the name is taken by another class, or the class is no Backbone.
    """

    def register(backbone: B) -> B:
        if not (isinstance(backbone, type) and issubclass(backbone, Backbone)):
            raise UserError(f"plugins: the backbone '{name}' must derive from tsmtl.models.Backbone (got {backbone!r})")
        taken = BACKBONES.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (backbone.__module__, backbone.__qualname__):
            raise UserError(f"plugins: the name '{name}' is taken by {taken.__module__}.{taken.__qualname__}")
        BACKBONES[name] = backbone
        return backbone

    return register


def import_plugins(modules: list[str]) -> None:
    """Import the modules that register backbones; the current folder counts as a place to look.

    Raises:
        UserError: If a module is not there, or fails while it is imported.
    """
    PLUGINS.update(modules)
    here = str(Path.cwd())
    for module in modules:
        sys.path.insert(0, here)
        try:
            importlib.import_module(module)
        except UserError:
            raise
        except (Exception, SystemExit) as error:  # a user's module may raise anything, and may end the process
            raise UserError(f"plugins: importing '{module}' failed ({type(error).__name__}: {error})") from error
        finally:
            sys.path.remove(here)


def build_backbone(name: str, arguments: dict[str, Any], input_size: int, seq_len: int | None) -> Backbone:
    """Build a backbone from its settings and the sizes of the data.

    Args:
        name: Key of the registry.
        arguments: Constructor arguments from the settings.
        input_size: C of series, E of vectors.
        seq_len: T of (the longest) series, None for vectors.

    Raises:
        UserError: If nothing is registered by that name, or the constructor does not take the arguments.
    """
    if name not in BACKBONES:
        raise UserError(
            f"model: no backbone is registered as '{name}' ({', '.join(BACKBONES)} are); "
            "name the module that does with plugins=[module]"
        )
    backbone = BACKBONES[name]
    # eval_str: a plugin may write its type hints as text (from __future__ import annotations)
    parameters = {
        key: parameter
        for key, parameter in inspect.signature(backbone, eval_str=True).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    given = arguments | {"input_size": input_size, "seq_len": seq_len}
    problems = [f"{key}: not a setting of model={name}" for key in arguments if key not in parameters]
    for key, parameter in parameters.items():
        if key not in given:
            if parameter.default is parameter.empty:
                problems.append(f"{key}: missing; model={name} needs it")
        elif key in arguments and parameter.annotation is not parameter.empty:
            problems += _type_problems(key, parameter.annotation, arguments[key])
    if problems:
        raise UserError(problems)
    built = backbone(**{key: value for key, value in given.items() if key in parameters})
    if not isinstance(getattr(built, "embed_dim", None), int):
        raise UserError(f"model: the backbone '{name}' must set embed_dim, the size of its embedding")
    if not backbone.__module__.startswith("tsmtl."):
        _check_embedding(name, built, input_size, seq_len)
    return built


@torch.random.fork_rng(devices=[])
@torch.no_grad()
def _check_embedding(name: str, backbone: Backbone, input_size: int, seq_len: int | None) -> None:
    """Try a user's own backbone on two instances of zeros."""
    shape = (2, input_size) if seq_len is None else (2, input_size, seq_len)
    was_training = backbone.training
    try:
        embedding = backbone.eval()(torch.zeros(shape))
    except Exception as error:  # it may raise anything
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"model: the backbone '{name}' fails on an input of shape {shape} ({reason})") from error
    backbone.train(was_training)
    got = tuple(embedding.shape) if isinstance(embedding, torch.Tensor) else type(embedding).__name__
    if got != (2, backbone.embed_dim):
        raise UserError(
            f"model: the backbone '{name}' must turn {shape} into (2, {backbone.embed_dim}), its embed_dim (got {got})"
        )


def _type_problems(key: str, annotation: Any, value: Any) -> list[str]:
    try:
        TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError as error:
        return [f"{key}: {e['msg'][0].lower()}{e['msg'][1:]} (got {e['input']!r})" for e in error.errors()[:1]]
    return []
