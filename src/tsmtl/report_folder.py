"""``tsmtl-report``: one page of a run, of a sweep or of a comparison, whatever a folder holds."""

import gc
import sys
from pathlib import Path

NAME = "tsmtl-report"
COMPARISON = "comparison.json"


def report_folder(folder: Path, page: Path) -> None:
    """Write the page of a folder, and say where it is.

    Args:
        folder: Of a comparison, a run or a sweep.
        page: The file; an old one is replaced.

    Raises:
        UserError: If the folder holds none of these, or a damaged one; nothing is written.
        FailedError: If the page cannot be written.
    """
    from tsmtl.config.errors import FailedError
    from tsmtl.report.run_contents import is_run, read_run
    from tsmtl.report.run_page import write_run_page
    from tsmtl.sweep.page import write_sweep_page
    from tsmtl.sweep.results import results_of

    try:
        if (folder / COMPARISON).is_file():
            _write_comparison(folder / COMPARISON, page)
        elif is_run(folder):
            write_run_page(page, read_run(folder))
        else:
            results = results_of(folder)
            if not results.jobs:
                raise _nothing_in(folder)
            write_sweep_page(page, folder, results)
    except OSError as error:
        raise FailedError(f"cannot write {page} ({error.strerror})") from error
    sys.stdout.write(f"{page}\n")
    sys.stdout.flush()


def _write_comparison(path: Path, page: Path) -> None:
    from tsmtl.config.errors import UserError, first_line
    from tsmtl.report.comparison_page import read_comparison, write_comparison_page

    comparison = read_comparison(path)
    try:
        write_comparison_page(page, comparison)
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # whatever it is that the file lacks
        what = f"lacks {error}" if isinstance(error, KeyError) else first_line(error)
        raise UserError(f"{path}: damaged: {what}; the command of the comparison writes it anew") from error


def _nothing_in(folder: Path) -> Exception:
    from tsmtl.config.errors import UserError

    return UserError(
        f"DIR: {folder} is no folder of a run (config.yaml beside metrics.csv or summary.json), of a sweep (folders of "
        f"jobs with job.json) or of a comparison ({COMPARISON}); name one that tsmtl wrote"
    )


def cli() -> None:
    """Run the command line."""
    gc.disable()  # starting makes many objects and no garbage: a third of the time to an answer
    try:
        from tsmtl.config.report_command import run_report

        run_report(report_folder)
    finally:
        gc.enable()


if __name__ == "__main__":
    cli()
