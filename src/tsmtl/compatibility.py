"""Do model, settings and data fit together? Asked before training, answered with both numbers."""

from tsmtl.config.augment_settings import FOR_SERIES
from tsmtl.config.errors import UserError
from tsmtl.config.model_settings import CNN1DSettings
from tsmtl.config.rules import kernel_problems
from tsmtl.config.schema import Settings
from tsmtl.config.task_kinds import task_sizes
from tsmtl.data.instances import Bundle, ClassTarget, LabelTarget, NumberTarget
from tsmtl.models.backbone import Backbone


def check_input_kind(settings: Settings, bundle: Bundle, backbone: type[Backbone]) -> None:
    """Check series against vectors, sizes that the user typed, and filters that must fit into the series.

    Raises:
        UserError: With a line for each contradiction.
    """
    x, where, model = bundle.instances.x, bundle.instances.where, settings.model
    is_series = x.ndim == 3
    if is_series and backbone.reads == "vectors":
        raise UserError(
            f"{where}: model={model.model} reads vectors (N, E), the input is series {x.shape}; take a model for "
            "series such as lstm_fcn, or make vectors of them first"
        )
    if not is_series and backbone.reads == "series":
        raise UserError(
            f"{where}: model={model.model} reads series (N, C, T), the input has shape {x.shape}; take model=fc for "
            "vectors (N, E), and store series of one channel as (N, 1, T)"
        )
    problems = []
    typed = [("input_size", x.shape[1], "C of the series" if is_series else "E of the vectors")]
    if is_series:
        typed.append(("seq_len", x.shape[2], "T of the series"))
    for key, size, what in typed:
        said = getattr(model, key, None)
        if said is not None and said != size:
            problems.append(f"{key}: {said} contradicts the data, where it is {size} ({what} in {where})")
    problems += _size_problems(settings, bundle)
    if isinstance(model, CNN1DSettings) and is_series and not problems:
        problems += kernel_problems(model, x.shape[2])
    if problems:
        raise UserError(problems)


def check_augment(settings: Settings, bundle: Bundle) -> None:
    """Check that vectors get no change along time.

    Raises:
        UserError: With a line for each such change.
    """
    instances = bundle.instances
    if instances.x.ndim == 3:
        return
    names = [name for name, _ in settings.data.changes if name in FOR_SERIES]
    if names:
        raise UserError(
            f"data.augment: {name} is for series (N, C, T); {instances.where} holds vectors (N, E)" for name in names
        )


def _size_problems(settings: Settings, bundle: Bundle) -> list[str]:
    """Compare the sizes that the user typed with those of the targets."""
    problems = []
    targets = bundle.instances.targets
    for name, (setting, size) in task_sizes(settings.task).items():
        target = targets.get(name)
        if target is None or size == target.size:
            continue
        noun = {ClassTarget: "classes", NumberTarget: "numbers", LabelTarget: "labels"}[type(target)]
        names = "" if isinstance(target, NumberTarget) else f" ({', '.join(target.names[:10])})"
        problems.append(f"{setting}: {size} contradicts the data, where '{target.key}' has {target.size} {noun}{names}")
    return problems


def check_lengths(bundle: Bundle, backbone: Backbone, model: str) -> None:
    """Check that a model for equal lengths does not get unequal ones, nor series too short for its filters.

    Raises:
        UserError: With the mend.
    """
    lengths, where, nan_padding = bundle.instances.lengths, bundle.instances.where, bundle.instances.nan_padding
    if lengths is None:
        return
    if not backbone.takes_lengths:
        raise UserError(
            f"{where}: the series have {lengths.min()} to {lengths.max()} time steps, and model={model} with these "
            "settings reads equal lengths only; take readout=mean (or last, max, attention) and no dimension_shuffle"
            + ("; if the NaN at their ends are missing values, data.nan_padding=false" if nan_padding else "")
        )
    if lengths.min() < backbone.shortest:
        raise UserError(
            f"{where}: the shortest series has {lengths.min()} time steps, the filters of model={model} need "
            f"{backbone.shortest}; take a smaller kernel_size or stride, or more padding"
        )


def check_lone_series(settings: Settings, bundle: Bundle, backbone: Backbone) -> None:
    """Check that a series which is a batch by itself leaves batch norm more than one value per channel.

    Larger batches are never followed by one of a single series: see :func:`tsmtl.training.sampling.batch_sizes`.

    Raises:
        UserError: With the mend.
    """
    if settings.model.batch_size > 1 or settings.run.freeze:
        return
    steps, lengths = bundle.instances.x.shape[-1], bundle.instances.lengths
    if lengths is not None:
        steps = lengths[bundle.splits["train"]].min()
    if steps < backbone.shortest_alone:
        raise UserError(
            f"batch_size: must be at least 2 (got 1) where series of T={steps} come down to one step behind the "
            f"filters of model={settings.model.model}: batch norm knows no variance of one value"
        )
