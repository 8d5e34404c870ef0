"""``trainer.tracker=[tensorboard]``: a run as an event file in its folder."""

import io
import os
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from tsmtl.tracking.tracker import EVENTS, Epoch, Status, TrackedRun


class TensorBoardTracker:
    """Writes the run's scalars, pictures and settings for TensorBoard.

    A run that goes on gets a new file with all its epochs in place of the old one, as ``metrics.csv`` does: what a
    kill tore is gone, and each epoch is there once.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._whole = 0  # bytes that are surely on disk; what a failed write left behind them is overwritten

    def start(self, run: TrackedRun) -> None:
        """Make the file, with settings (tab HParams) and tags (tab Text)."""
        if self._path is None:
            for old in run.folder.glob(EVENTS):
                old.unlink()
            name = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
            self._path = run.folder / EVENTS.replace("*", name)
        about = "\n".join(["| | |", "|-|-|", *(f"| {key} | {value} |" for key, value in run.tags.items())])
        now = time.time()
        began = plugin_data_pb2.SessionStartInfo(group_name=str(run.folder), start_time_secs=now)
        for key, value in run.settings.items():
            kind = {bool: "bool_value", str: "string_value"}.get(type(value), "number_value")
            setattr(began.hparams[key], kind, value)
        session = plugin_data_pb2.HParamsPluginData(session_start_info=began)
        self._append(
            [
                Event(wall_time=now, file_version="brain.Event:2"),
                _event(now, 0, [_hparams(metadata.SESSION_START_INFO_TAG, session), _text("run", about)]),
            ]
        )

    def epochs(self, epochs: Sequence[Epoch]) -> None:
        """Write a scalar per column, the epoch's number as its step."""
        self._append(_event(epoch.ended, epoch.number, _scalars(epoch.values)) for epoch in epochs)

    def results(self, epoch: int, test: dict[str, float], pictures: Sequence[Path], checkpoint: Path) -> None:
        """Write test metrics and pictures at the best epoch; TensorBoard has no place for a checkpoint."""
        shown = [_picture(path) for path in pictures]
        self._append([_event(time.time(), epoch, [*_scalars(test), *shown])])

    def end(self, status: Status) -> None:
        """Write how the run ended."""
        now = time.time()
        word = api_pb2.STATUS_SUCCESS if status == Status.FINISHED else api_pb2.STATUS_FAILURE  # it has no third
        ended = plugin_data_pb2.SessionEndInfo(status=word, end_time_secs=now)
        session = plugin_data_pb2.HParamsPluginData(session_end_info=ended)
        self._append([_event(now, 0, [_hparams(metadata.SESSION_END_INFO_TAG, session)])])

    def _append(self, events: Iterable[Event]) -> None:
        """Write events whole, behind the last whole one."""
        assert self._path is not None, "start comes first"
        buffer = io.BytesIO()
        records = RecordWriter(buffer)
        for event in events:
            records.write(event.SerializeToString())
        content = buffer.getvalue()
        with self._path.open("r+b" if self._path.exists() else "wb") as file:
            file.seek(self._whole)
            file.truncate()
            file.write(content)
        self._whole += len(content)


def _event(when: float, step: int, values: list[Any]) -> Event:
    return Event(wall_time=when, step=step, summary=Summary(value=values))


def _scalars(values: dict[str, float]) -> list[Any]:
    return [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]


def _picture(path: Path) -> Any:
    content = path.read_bytes()
    width, height = struct.unpack(">II", content[16:24])  # of a PNG's first chunk
    image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=content)
    return Summary.Value(tag=path.stem, image=image)


def _text(name: str, markdown: str) -> Any:
    about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[markdown.encode()], tensor_shape=shape)
    return Summary.Value(tag=name, metadata=about, tensor=tensor)


def _hparams(tag: str, session: Any) -> Any:
    return Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(session), tensor=metadata.NULL_TENSOR)
