"""Settings of the data: one class per kind of source, told apart by ``data.source``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr

from tsmtl.config.augment_settings import Change, Positive
from tsmtl.config.section import Count, Section, Text

Fraction = Annotated[float, Field(gt=0, lt=1)]
FoldIds = Annotated[list[int] | list[str], Field(min_length=1)]
FoldId = int | str | FoldIds
KINDS = {"cls": "cls", "cls_2": "cls", "reg": "reg"}  # of the targets that a source names itself
Range = Annotated[list[float | None], Field(min_length=2, max_length=2)]


@dataclass(frozen=True)
class TargetPlace:
    """Where the target of a task stands in the data.

    Attributes:
        setting: The setting that names it, for messages; empty where the source has one target of a kind.
        keys: Arrays or columns.
        unit: Unit of a number, for tables and pictures.
        names: Names of the class ids 0 ... K - 1, or of the labels.
    """

    setting: str = ""
    keys: tuple[str, ...] = ()
    unit: str | None = None
    names: tuple[str, ...] | None = None

    @property
    def said(self) -> str:
        """The target's name, for people."""
        return ", ".join(self.keys)


class SplitTarget(Section):
    """A target that a split is drawn by."""

    kind: Literal["cls", "reg", "multilabel"] = Field(description="a class, numbers, or labels")
    target: list[Text] = Field(description="its arrays or columns; [] where the source has one of the kind")


class DataSettings(Section):
    """Settings that every source has."""

    _places: dict[str, TargetPlace] = PrivateAttr(default_factory=dict)

    source: str = Field(description="kind of source")
    test_fraction: Fraction = Field(description="share of all instances to test on, where no split is given")
    val_fraction: Fraction = Field(description="share of the rest to validate on, where no split is given")
    seed: Annotated[int, Field(ge=0)] = Field(description="of random splits and simulations; not the run's seed")
    split_targets: list[SplitTarget] | None = Field(
        description="targets that random splits are drawn by; null: all that data names, whatever the task learns"
    )
    signed_log: Annotated[float, Field(ge=1e-12)] | None = Field(
        description="the input becomes sign(x) * log(1 + |x| / this) before gaps are filled and it is scaled"
    )
    scale: Literal["none", "standard", "standard_per_step", "minmax", "per_instance"] = Field(
        description="scaling of the input, fitted on the train split"
    )
    input_limit: Positive | None = Field(
        description="scaled input beyond this many units (sd, of standard) is cut to it, in training and prediction"
    )
    clip_target: Range | None = Field(
        description="[low, high]: range that the number and its predictions are clipped to; adds metrics against it"
    )
    transform_target: Literal["none", "log1p"] = Field(
        description="function of the number, once clipped, that is trained on; predictions are turned back"
    )
    scale_target: Literal["none", "standard"] = Field(
        description="scaling of the number for training; metrics and predictions are in its own units"
    )
    regression_metrics: list[Literal["phm08"]] = Field(description="more metrics of the number")
    augment: list[Change] = Field(description="random changes of the train split's batches, one after another")
    label_share: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        description="share of a task's train labels that is used, by task; all of the others"
    )
    shuffled_labels: list[Text] = Field(
        description="tasks whose train labels are shuffled: what they then give is no transfer"
    )
    label_seed: Annotated[int, Field(ge=0)] = Field(description="of label_share and shuffled_labels")

    @property
    def changes(self) -> list[tuple[str, float]]:
        """Name and value of each change of ``augment``."""
        return [pair for change in self.augment for pair in change]

    def naming(self, places: Mapping[str, TargetPlace]) -> Self:
        """Give these settings with the targets of named tasks, which stand outside of this section.

        Args:
            places: Where each task's target stands, by its name.
        """
        copy = self.model_copy()
        copy._places = dict(places)
        return copy

    @property
    def drawn_by(self) -> dict[str, str]:
        """Kind of each target that random splits are drawn by, by a name that is no task's."""
        return {name: kind for name, (kind, _) in self._draws().items()}

    def place_of(self, task: str) -> TargetPlace:
        """Say where the target of a task, or one of ``drawn_by``, stands."""
        if task in (draws := self._draws()):
            return draws[task][1]
        return self._places[task] if task in self._places else self._own_place(task)

    def _draws(self) -> dict[str, tuple[str, TargetPlace]]:
        if self.split_targets is not None:
            kinds: list[str] = [target.kind for target in self.split_targets]
            places = [TargetPlace("data.split_targets", tuple(target.target)) for target in self.split_targets]
        else:
            own = [] if self._places else self._own_tasks()
            kinds, places = [KINDS[task] for task in own], [self._own_place(task) for task in own]
        return {f"split {i}": pair for i, pair in enumerate(zip(kinds, places, strict=True))}

    def _own_place(self, task: str) -> TargetPlace:
        """Say where the target of ``cls``, ``cls_2`` or ``reg`` stands."""
        return TargetPlace()

    def _own_tasks(self) -> list[str]:
        """Give those of ``cls``, ``cls_2`` and ``reg`` that the source names a target of."""
        return []

    @property
    def named(self) -> dict[str, TargetPlace]:
        """What :meth:`naming` has given; empty but with ``task=custom``."""
        return self._places


class RecordedSettings(DataSettings):
    """Settings of the sources that read what was recorded, where values may be missing."""

    missing: Literal["interpolate", "mean", "error"] = Field(description="what becomes of NaN in the input")


class FileSettings(RecordedSettings):
    """Settings of the sources that read a file."""

    path: Text = Field(
        description="the file; data=npz: or a folder of .npy files; data=vectors: .csv, .csv.gz or .parquet"
    )


class SyntheticSettings(DataSettings):
    """Settings of ``data=synthetic``."""

    source: Literal["synthetic"] = Field(description="kind of source")
    n_instances: Annotated[int, Field(ge=30)] = Field(description="N")
    n_channels: Count = Field(description="C, sensors around the machine")
    n_steps: Annotated[int, Field(ge=16)] = Field(description="T, samples per instance")
    n_classes: Annotated[int, Field(ge=2, le=6)] = Field(
        description="K, kinds of fault, the healthy machine among them"
    )
    noise: Annotated[float, Field(ge=0)] = Field(description="sd of the sensor noise")
    relatedness: Annotated[float, Field(ge=0, le=1)] = Field(description="how much the number tells of the fault")

    def _own_tasks(self) -> list[str]:
        return ["cls", "reg"]


class ArraySettings(FileSettings):
    """Settings of the sources whose targets, groups and splits are arrays, or columns, under any names."""

    class_target: Text | None = Field(description="array or column of classes, names or ids")
    regression_target: Text | Annotated[list[Text], Field(min_length=1)] | None = Field(
        description="array or column of numbers; several by a list"
    )
    class_target_2: Text | None = Field(description="array or column of classes for task 2, instead of the number")
    regression_unit: Text | None = Field(description="unit of the number, for tables and pictures")
    split: Literal["auto", "given", "group", "stratified"] = Field(description="what decides the splits")
    split_key: Text | None = Field(description="array or column of train/val/test, or of fold ids")
    test_fold: FoldId | None = Field(description="fold id or ids to test on")
    val_fold: FoldId | None = Field(description="fold id or ids to validate on")
    group_key: Text | None = Field(description="array or column of groups; none is divided between splits")
    other_split: bool = Field(
        description="vectors of tsmtl-represent: take another split than that of their fit where settings ask for it"
    )

    def _own_place(self, task: str) -> TargetPlace:
        setting = {"cls": "class_target", "cls_2": "class_target_2", "reg": "regression_target"}[task]
        key = getattr(self, setting)
        unit = self.regression_unit if task == "reg" else None
        return TargetPlace(
            f"data.{setting}", () if key is None else tuple([key] if isinstance(key, str) else key), unit
        )

    def _own_tasks(self) -> list[str]:
        return [task for task in KINDS if self._own_place(task).keys]


class NpzSettings(ArraySettings):
    """Settings of ``data=npz`` and of the known sets over it."""

    source: Literal["npz"] = Field(description="kind of source")
    root: Text | None = Field(default=None, description="known sets: the folder with the public data sets")
    input_key: Text = Field(description="array of series (N, C, T) or vectors (N, E)")
    lengths_key: Text | None = Field(description="array of lengths of padded series")
    nan_padding: bool = Field(description="time steps at the end that are NaN in every channel are padding")
    channels_key: Text | None = Field(description="array of channel names")
    class_names_key: Text | None = Field(description="array of class names for the ids 0 ... K - 1")
    shuffle_block: Count | None = Field(
        description="folder of .npy files: neighbours that stay together in the random order of an epoch"
    )


class VectorsSettings(ArraySettings):
    """Settings of ``data=vectors``."""

    source: Literal["vectors"] = Field(description="kind of source")
    path: Text = Field(description="a .csv, .csv.gz or .parquet file with one row per instance")
    features: Annotated[list[Text], Field(min_length=1)] | None = Field(
        description="columns of the vectors: names, or patterns such as f_*"
    )
    instance_key: Text | None = Field(description="column that names the instance of each row")


class TsSettings(FileSettings):
    """Settings of ``data=ts``."""

    source: Literal["ts"] = Field(description="kind of source")


class ArchiveSettings(RecordedSettings):
    """Settings of ``data=archive``."""

    source: Literal["archive"] = Field(description="kind of source")
    name: Text = Field(description="the set, such as BasicMotions")
    folder: Text = Field(description="where fetched sets are kept")
    download: bool = Field(description="fetch a set that is not there")
