"""The commands beside ``tsmtl-train``: the settings of one YAML file, no run folder, no sweep."""

import gc
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from tsmtl.config.answer import answer
from tsmtl.config.arguments import composing, plain_settings, prepare_arguments, typed_keys
from tsmtl.config.errors import UserError
from tsmtl.config.location import config_dir
from tsmtl.config.processor import wait_briefly
from tsmtl.config.section import Section


def run_sister_command(
    name: str,
    about: str,
    sections: Callable[[], Mapping[str, type[Section]]],
    job: Callable[[dict[str, Any], frozenset[str]], None],
) -> None:
    """Compose the settings of ``configs/<name without tsmtl->.yaml``, check them and call ``job(sections, typed)``.

    Args:
        name: The command, as typed.
        about: What it does and examples, for ``--help``; ``{name}`` stands for the command.
        sections: Gives the class of each group of settings by its prefix; ``""`` is that of the plain keys.
        job: What to do with the checked section of each prefix, and the keys that the user typed.
    """
    file = name.removeprefix("tsmtl-")

    def help_text(name: str) -> str:
        from tsmtl.config.help import sister_help_text

        return sister_help_text(name, about, file, sections())

    def work() -> None:
        checked, typed = checked_sections(name, file, sections(), sys.argv[1:])
        gc.enable()
        wait_briefly()
        job(checked, typed)

    answer(name, help_text, work)


def checked_sections(
    name: str, file: str, sections: Mapping[str, type[Section]], arguments: list[str]
) -> tuple[dict[str, Any], frozenset[str]]:
    """Compose the settings of ``configs/<file>.yaml`` and check them.

    Args:
        name: The command.
        file: Name of the YAML file.
        sections: Class of each group of settings by its prefix.
        arguments: What was typed.

    Returns:
        The checked section of each prefix, and the keys that the user typed.

    Raises:
        UserError: With a line for every problem.
    """
    from hydra import compose, initialize_config_dir

    from tsmtl.config.schema import check_section
    from tsmtl.config.words import did_you_mean

    if flags := [a for a in arguments if a.startswith("-")]:
        raise UserError(f"{flags[0]}: unknown flag; settings are written key=value, --help lists them")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with composing():
        overrides = prepare_arguments(arguments)
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            flat = plain_settings(compose(file, overrides))

    names = {f"{prefix}.{key}" if prefix else key for prefix, s in sections.items() for key in s.model_fields}

    def unknown(full: str, key: str, section: type[Section], owner: str) -> str:
        return f"unknown setting{did_you_mean(full, names) or f'; {name} --help lists all'}"

    problems: list[str] = []
    checked: dict[str, Any] = {}
    for prefix, section in sections.items():
        value = flat.get(prefix) if prefix else {k: v for k, v in flat.items() if k not in sections}
        checked[prefix] = check_section(section, value, prefix, problems, name, unknown)
    if problems:
        raise UserError(problems)
    return checked, typed_keys(overrides)
