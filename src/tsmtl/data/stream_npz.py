"""The instances of one .npz file in blocks: its input array is read piece by piece out of the arrays."""

import logging
import zipfile
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tsmtl.config.errors import UserError
from tsmtl.data.contract import checked_lengths
from tsmtl.data.instances import IntArray
from tsmtl.data.manifest import FEATURES, MANIFEST, Manifest, X
from tsmtl.data.named_arrays import UNREADABLE, NamedArrays, NpyArrays, NpzArrays, open_arrays
from tsmtl.data.npy_rows import NpyRows
from tsmtl.data.stream import Block, Request, Stream, WantedTarget
from tsmtl.data.targets import check_names_have_ids, class_target

log = logging.getLogger(__name__)


def stream_npz(request: Request) -> Stream:
    """Open a .npz file, or a folder of .npy files.

    Raises:
        UserError: If the file, an array or a shape is not what the model or the settings ask for.
    """
    with open_arrays(str(request.path)) as arrays:
        path, name = arrays.where, _input_name(arrays, request)
        shape = _shape(arrays, name)
        request.contract.check_shape(shape, f"{path}: '{name}'")
        key = request.trained.get("channels_key")
        if request.contract.kind != "series" and (manifest := Manifest.of(arrays)) is not None:
            manifest.check_transform(request.made_by)
            key = FEATURES if name == X and key is None else key
        if key in arrays.names:
            channels = arrays.one(str(key), "data.channels_key").astype(str).ravel().tolist()
            request.contract.check_channels(channels, f"{path}: '{key}'")
        lengths = _lengths(arrays, request, shape)
        targets = {target.task: _target(arrays, target, name, shape[0]) for target in request.targets}
    return Stream(path, shape[0], _blocks(request, name, lengths, targets))


def _input_name(arrays: NamedArrays, request: Request) -> str:
    for name in (request.input_key, request.trained.get("input_key")):
        if name in arrays.names:
            return str(name)
        if name is not None and name == request.input_key:
            raise arrays.lacks(name, "data.input_key")
    if MANIFEST in arrays.names:  # vectors of tsmtl-represent, for a model that was trained on a table of them
        return X
    if len(arrays.names) == 1:
        return arrays.names[0]
    have = ", ".join(arrays.names) or "nothing"
    raise UserError(f"{arrays.where}: which array is the input? name it with data.input_key; the file has {have}")


def _lengths(arrays: NamedArrays, request: Request, shape: tuple[int, ...]) -> IntArray | None:
    name = request.lengths_key
    if name is None and (trained := request.trained.get("lengths_key")) is not None:
        if trained in arrays.names:
            name = trained
        else:
            log.warning("%s: no array '%s' of lengths as in training: every time step counts", arrays.where, trained)
    if name is None:
        return None
    if len(shape) != 3:
        raise UserError(f"{arrays.where}: vectors (N, E) have no lengths; leave out data.lengths_key")
    values = arrays.one(name, "data.lengths_key")
    return checked_lengths(values, shape[0], shape[2], f"{arrays.where}: '{name}'")


def _target(arrays: NamedArrays, target: WantedTarget, input_name: str, n: int) -> npt.NDArray[Any]:
    if target.more_keys:
        each = [replace(target, key=key, more_keys=(), size=1) for key in target.keys]
        return np.concatenate([_target(arrays, one, input_name, n) for one in each], axis=1)  # (N, D)
    values = arrays.one(target.key, target.setting)
    if values.shape[:1] != (n,):
        raise UserError(
            f"{arrays.where}: '{input_name}' has {n} instances, '{target.key}' ({target.setting}) has shape "
            f"{values.shape}; both need one row per instance"
        )
    if target.kind != "cls":
        numbers = values[:, None] if values.ndim == 1 else values  # (N, D)
        if numbers.dtype.kind not in "buif" or numbers.shape != (n, target.size):
            noun = "number" if target.kind == "reg" else "label"
            wanted = f"one {noun}" if target.size == 1 else f"{target.size} {noun}s"
            raise UserError(
                f"{arrays.where}: '{target.key}' must hold {wanted} per instance "
                f"(got {values.dtype} of shape {values.shape})"
            )
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused with its instance
            return numbers.astype(np.float32)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "Ubuif":
        raise UserError(
            f"{arrays.where}: '{target.key}' must have one class per instance, shape (N,) "
            f"(got {values.dtype} of shape {values.shape})"
        )
    if target.ids_key_typed:
        check_names_have_ids(values, "data.class_names_key", target.key, arrays.where)
    elif target.ids_key not in arrays.names or values.dtype.kind == "U":
        return values
    names = arrays.texts(str(target.ids_key), "data.class_names_key")  # the file names its ids itself
    ids = class_target(target.key, values, arrays.where, names).ids
    classes: npt.NDArray[Any] = np.array([*names, ""])[ids]  # the last one is that of -1, a missing class
    return classes


def _shape(arrays: NpzArrays | NpyArrays, name: str) -> tuple[int, ...]:
    if isinstance(arrays, NpzArrays):
        return _header(arrays, name)[0]
    file = arrays.input(name, "data.input_key")
    _check_numbers(arrays, name, file.dtype)
    return file.shape


def _check_numbers(arrays: NamedArrays, name: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "buif":
        raise UserError(f"{arrays.where}: '{name}' has type {dtype}, no numbers")


def _header(
    arrays: NpzArrays, name: str, member: IO[bytes] | None = None
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, order (True: Fortran's) and type of an array; the member then stands at its first value."""
    if member is None:
        with _opened_member(arrays, name) as opened:
            return _header(arrays, name, opened)
    try:
        form: Any = np.lib.format  # it has no types
        read = form.read_array_header_1_0 if form.read_magic(member) == (1, 0) else form.read_array_header_2_0
        shape, fortran, dtype = read(member)
    except UNREADABLE as error:
        raise arrays.damaged(name, error) from error
    if dtype.hasobject:
        raise arrays.object_array(name)
    _check_numbers(arrays, name, dtype)
    return shape, fortran, dtype


def _opened_member(arrays: NpzArrays, name: str) -> IO[bytes]:
    zipped: zipfile.ZipFile = arrays.file.zip
    try:
        return zipped.open(f"{name}.npy" if f"{name}.npy" in zipped.namelist() else name)
    except UNREADABLE as error:
        raise arrays.damaged(name, error) from error


def _blocks(
    request: Request, name: str, lengths: IntArray | None, targets: dict[str, npt.NDArray[Any]]
) -> Generator[Block]:
    with open_arrays(str(request.path)) as arrays:
        if isinstance(arrays, NpzArrays):
            pieces = _pieces_of_npz(arrays, name, request.size)
        else:
            pieces = _pieces(NpyRows([arrays.input(name, "data.input_key")]), request.size)
        with closing(pieces):
            start = 0
            for x in pieces:
                rows = slice(start, start + len(x))
                yield Block(
                    range(rows.start, rows.stop),
                    x,
                    None if lengths is None else lengths[rows],
                    {task: values[rows] for task, values in targets.items()},
                )
                start = rows.stop


def _pieces(x: NpyRows, size: int) -> Generator[npt.NDArray[Any]]:
    for start in range(0, len(x), size):
        yield x.raw(slice(start, start + size))


def _pieces_of_npz(arrays: NpzArrays, name: str, size: int) -> Generator[npt.NDArray[Any]]:
    with _opened_member(arrays, name) as member:
        (n, *rest), fortran, dtype = _header(arrays, name, member)
        whole = arrays.one(name, "data.input_key") if fortran else None  # its instances do not lie together
        for start in range(0, n, size):
            stop = min(start + size, n)
            yield _read(arrays, name, member, (stop - start, *rest), dtype) if whole is None else whole[start:stop]
        if whole is None:
            _read(arrays, name, member, (0,), dtype, at_end=True)


def _read(
    arrays: NamedArrays,
    name: str,
    member: IO[bytes],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    at_end: bool = False,
) -> npt.NDArray[Any]:
    wanted = 1 if at_end else int(np.prod(shape)) * dtype.itemsize
    try:
        content = member.read(wanted)  # at the end, this compares the checksum
    except UNREADABLE as error:
        raise arrays.damaged(name, error) from error
    if len(content) != (0 if at_end else wanted):
        raise arrays.damaged(name, "its size is not that of its header")
    return np.frombuffer(content, dtype=dtype).reshape(shape)
