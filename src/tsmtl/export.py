"""``tsmtl-export``: a trained model as an ONNX file, written only if it gives the numbers that PyTorch gives."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsmtl.config.errors import FailedError, UserError
from tsmtl.config.section import Section
from tsmtl.config.sister_command import run_sister_command
from tsmtl.storage.whole import whole_file

if TYPE_CHECKING:
    from tsmtl.predictor import Predictor

ABOUT = """\
{name} writes a trained model as an ONNX file that runs without tsmtl and PyTorch.

  {name} checkpoint=runs/plant/best_model.pt output=plant.onnx
  {name} checkpoint=best_model.pt output=model.onnx tolerance=1e-5

The file reads x, raw float32 series (N, C, T) or vectors (N, E), and fills and scales them as in training. It has an
output per task, by the task's name: probabilities (N, K) of a classification (calibrated: the temperature is inside) or
(N, L) of labels, numbers (N, D) of a regression in their own units. N is free; T is, where the model reads other
lengths than it was trained with.
All series of a batch have the same length: where lengths differ, they go in one at a time, without padding.
NaN is filled as in training, by the mean or by interpolation (data.missing). With data.missing=error an instance with
NaN gets NaN, and so does, always, one with infinite values or with NaN as padding.
The file explains itself: its metadata hold, under the key tsmtl, JSON with channels, class names and units.

Before it is written, onnxruntime and PyTorch predict the same random inputs of the training's scale: several batch
sizes and lengths, with gaps where the model fills them. The largest difference of each task is shown; above tolerance
(of a probability, or of a number in standard deviations of the train split) there is no file, and the exit code is 1.
The packages for it are an extra: pip install 'tsmtl[export]'.
"""


def cli() -> None:
    """Run the command line."""
    run_sister_command("tsmtl-export", ABOUT, _sections, _job)


def _sections() -> Mapping[str, type[Section]]:
    from tsmtl.config.export_settings import ExportSettings

    return {"": ExportSettings}


def _job(checked: dict[str, Any], typed: frozenset[str]) -> None:
    settings = checked[""]
    export(settings.checkpoint, settings.output, settings.tolerance, settings.plugins)


def export(checkpoint: str, output: str, tolerance: float, plugins: list[str]) -> None:
    """Write a checkpoint as an ONNX file, and show how far its numbers are from PyTorch's.

    Args:
        checkpoint: A checkpoint that ``tsmtl-train`` wrote.
        output: The file; an old one is replaced.
        tolerance: Largest difference, of a probability or of a number in standard deviations of the train split.
        plugins: Modules to import that register the backbone, where it is the user's own.

    Raises:
        UserError: If the checkpoint cannot be read, the output not be written, or the extra is not installed.
        FailedError: If a difference is above the tolerance; the output stays as it was.
    """
    source, target = Path(checkpoint).expanduser(), Path(output).expanduser()
    _check_paths(source, target)
    try:
        import onnx  # noqa: F401  # tried before torch, which takes seconds
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is missing: pip install 'tsmtl[export]' brings it") from error
    from tsmtl.onnx_comparison import largest_differences
    from tsmtl.onnx_graph import onnx_model
    from tsmtl.predictor import load_model

    predictor = load_model(source, plugins=plugins)
    model = onnx_model(predictor)
    differences = largest_differences(model, predictor)
    if far := {name: value for name, value in differences.items() if not value <= tolerance}:  # NaN is far too
        said = ", ".join(f"{name} by {value:.2g}" for name, value in far.items())
        raise FailedError(f"onnxruntime and PyTorch differ: {said}; tolerance={tolerance:g}; {target} was not written")
    _write(target, model.SerializeToString())
    sys.stdout.write("\n".join([*_description(predictor, differences), str(target), ""]))


def _check_paths(source: Path, target: Path) -> None:
    problems = []
    if not source.is_file():
        problems.append(f"checkpoint: there is no file {source}")
    if target.suffix != ".onnx":
        problems.append(f"output: must end in .onnx (got {target})")
    elif target.is_dir():
        problems.append(f"output: {target} is a folder; name a file")
    if not target.parent.is_dir():
        problems.append(f"output: there is no folder {target.parent}")
    if problems:
        raise UserError(problems)


def _write(path: Path, content: bytes) -> None:
    try:
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        raise FailedError(f"{path} could not be written ({error.strerror})") from error


def _description(predictor: "Predictor", differences: dict[str, float]) -> list[str]:
    """Say what the file reads and gives, and how far from PyTorch it is."""
    from tsmtl.onnx_comparison import was_scaled

    read, c = predictor.contract, len(predictor.channels)
    if read.kind == "vectors":
        lines = [f"reads x: float32 (N, {c})"]
    elif predictor.contract.any_length:
        lines = [f"reads x: float32 (N, {c}, T), T at least {predictor.model.backbone.shortest}, one T per batch"]
    else:
        lines = [f"reads x: float32 (N, {c}, {read.seq_len})"]
    missing = predictor.preparation.missing
    lines.append(
        "         an instance with NaN gets NaN (data.missing=error)"
        if missing == "error"
        else f"         NaN is filled as in training (data.missing={missing})"
    )
    if missing != "error" and read.nan_padding and read.kind == "series":
        lines.append("         but one that ends in NaN in every channel, padding in training, gets NaN: cut it off")
    for name, task in predictor.tasks.items():
        if task.kind != "reg":
            what, unit = f"probabilities (N, {task.size})", ""
        else:
            what = f"numbers (N, {task.size})" + (f" in {task.unit}" if task.unit else "")
            unit = " standard deviations" if was_scaled(task) else " of the largest"
            unit += ", float32 rounding aside,"
        lines.append(f"gives {name} ({task.key}): {what}, at most {differences[name]:.2g}{unit} from PyTorch's")
    return lines


if __name__ == "__main__":
    cli()
