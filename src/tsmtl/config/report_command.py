"""The words of ``tsmtl-report``: a folder, and where the page goes."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path

from tsmtl.config.answer import answer
from tsmtl.config.errors import UserError

NAME = "tsmtl-report"
FILE = "report"
_OUTPUT = "output="
ABOUT = """\
{name} writes one HTML page of the folder of a run, a sweep or a comparison; what it is, is seen from its files.

  {name} outputs/2026-01-31/12-30-00_gru_multi
  {name} runs/lr output=lr.html

The page needs nothing beside it and fetches nothing: it can be mailed, printed and kept. Pictures follow the browser's
light or dark colours; tables of jobs are sorted by a click, or a key, on the head of a column.
"""


def run_report(job: Callable[[Path, Path], None]) -> None:
    """Check the words of the command line and call ``job(folder, page)``."""

    def help_text(name: str) -> str:
        from tsmtl.config.help import sister_help_text
        from tsmtl.config.report_settings import ReportSettings

        return sister_help_text(name, ABOUT, FILE, {"": ReportSettings})

    def work() -> None:
        folder, page = _checked(sys.argv[1:])
        gc.enable()
        job(folder, page)

    answer(NAME, help_text, work)


def _checked(words: list[str]) -> tuple[Path, Path]:
    import yaml

    from tsmtl.config.location import config_dir
    from tsmtl.config.report_settings import ReportSettings, report_problems
    from tsmtl.config.schema import check_section

    own = dict(yaml.safe_load((config_dir() / f"{FILE}.yaml").read_text(encoding="utf-8")))
    folders = []
    for word in words:
        if word.startswith("-"):
            raise UserError(f"{word}: unknown flag; --help shows what there is")
        if word.startswith(_OUTPUT):
            value = word.removeprefix(_OUTPUT)
            own["output"] = None if value == "null" else value
        else:
            folders.append(word)  # whatever it is called: the folders of a sweep's jobs have equals signs
    if len(folders) != 1:
        got = ", ".join(folders) or "none"
        raise UserError(
            f"DIR: name one folder of a run, a sweep or a comparison (got {got}); the other word is output="
        )
    problems: list[str] = []
    checked = check_section(ReportSettings, own, "", problems, NAME)
    problems += report_problems(checked) if checked is not None else []
    folder = Path(folders[0]).expanduser()
    if not folder.is_dir():
        problems.append(f"DIR: there is no folder {folder}")
    if problems or checked is None:
        raise UserError(problems)
    return folder, folder / "report.html" if checked.output is None else Path(checked.output).expanduser()
