"""Settings of ``tsmtl-represent``, beside those of the training whose data it makes vectors of."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tsmtl.config.predict_settings import input_problems, place_problems, same_file, unread_problems
from tsmtl.config.section import Count, Section, Text

VECTORS, TRANSFORM = (".npz", ".parquet"), (".pt",)


class RepresentSettings(Section):
    """Settings of ``tsmtl-represent`` itself."""

    output: Text = Field(description="the .npz or .parquet file of the vectors; its folder must exist")
    transform: Text | None = Field(
        description="the .pt file of the fitted transform; null: NAME.transform.pt beside the vectors"
    )
    resume: bool = Field(description="go on with the unfinished training of a network, where there is one")

    @property
    def vectors_path(self) -> Path:
        """Where the vectors go."""
        return Path(self.output).expanduser()

    @property
    def transform_path(self) -> Path:
        """Where the fitted transform goes."""
        beside = self.vectors_path.with_suffix(".transform.pt")
        return beside if self.transform is None else Path(self.transform).expanduser()

    @property
    def state_path(self) -> Path:
        """Where the state of a training under way is kept."""
        return self.vectors_path.with_suffix(".last.pt")

    @property
    def metrics_path(self) -> Path:
        """Where the losses of a training go."""
        return self.vectors_path.with_suffix(".metrics.csv")


class RepresentNewSettings(Section):
    """Settings of ``tsmtl-represent fitted=...``."""

    fitted: Text = Field(description="the transform that an earlier tsmtl-represent has left")
    output: Text = Field(description="the .npz or .parquet file of the vectors; its folder must exist")
    weights: Text | None = Field(description="of a pretrained model: the folder of its weights, where it has moved")
    batch_size: Count = Field(description="instances read and represented at once")
    device: Literal["cuda", "cpu"] = Field(description="where networks work")
    plugins: list[Text] = Field(description="modules to import that register backbones")


def represent_problems(settings: RepresentSettings) -> list[str]:
    """Check where vectors and transform are to go."""
    problems = place_problems("output", settings.output, VECTORS)
    if settings.transform is not None:
        problems += place_problems("transform", settings.transform, TRANSFORM)
        if same_file(settings.transform_path, settings.state_path):
            problems.append(f"transform: {settings.transform} is where a training keeps its state; name another")
    return problems


def overwriting_problems(settings: RepresentSettings, data: Section, method: Section) -> list[str]:
    """Say which of the files to write is one to read; not every data set and method has a ``path``."""
    read = {"output": (settings.vectors_path, data), "transform": (settings.transform_path, method)}
    return [
        f"{key}: {place} is the file to read; name another"
        for key, (place, section) in read.items()
        if isinstance(path := getattr(section, "path", None), str) and same_file(path, place)
    ]


def represent_new_problems(settings: dict[str, Any], typed: frozenset[str]) -> list[str]:
    """Check what the checked sections of ``tsmtl-represent fitted=...`` say of the files."""
    path, own = settings["data"].path, settings[""]
    problems = input_problems(path) + place_problems("output", own.output, VECTORS)
    if same_file(path, own.output):
        problems.append(f"output: {own.output} is the file to read; name another")
    return problems or unread_problems(path, typed)
