"""The kinds of data source by the name that ``data.source`` gives them."""

from tsmtl.config.data_settings import (
    ArchiveSettings,
    DataSettings,
    NpzSettings,
    SyntheticSettings,
    TsSettings,
    VectorsSettings,
)
from tsmtl.config.table_settings import CmapssSettings, TableSettings

SOURCES: dict[str, type[DataSettings]] = {
    "synthetic": SyntheticSettings,
    "npz": NpzSettings,
    "vectors": VectorsSettings,
    "ts": TsSettings,
    "table": TableSettings,
    "cmapss": CmapssSettings,
    "archive": ArchiveSettings,
}
