"""Open a file, or a folder, of new instances; its ending says how."""

from collections.abc import Callable

from tsmtl.config.predict_settings import ROWS, input_format
from tsmtl.data.stream import Request, Stream
from tsmtl.data.stream_npz import stream_npz
from tsmtl.data.stream_ts import stream_ts


def _stream_table(request: Request) -> Stream:
    from tsmtl.data.stream_table import stream_table  # polars takes a while to import, and only tables need it

    return stream_table(request)


STREAMS: dict[str, Callable[[Request], Stream]] = {
    ".npz": stream_npz,
    ".ts": stream_ts,
    **dict.fromkeys(ROWS, _stream_table),
}


def open_stream(request: Request) -> Stream:
    """Open a file; what it holds is read as its blocks are asked for.

    Raises:
        UserError: If the file is not there, or its header tells that it is not what the model reads.
    """
    return STREAMS[input_format(str(request.path))](request)
