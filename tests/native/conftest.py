"""A source of one function, compiled into a folder of the test's own."""

from pathlib import Path

import pytest

SOURCE = """
#include <cstdint>
#include "factor.h"
extern "C" __attribute__((visibility("default"))) void times(int64_t n, const float* from, float* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = FACTOR * from[i];
}
"""


@pytest.fixture
def sources(tmp_path, monkeypatch) -> Path:
    """A folder of sources in place of the package's own: ``times.cpp`` and its header."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "times.cpp").write_text(SOURCE)
    (folder / "factor.h").write_text("#define FACTOR 2.0f\n")
    monkeypatch.setattr("tsmtl.native.build.SOURCES", folder)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path / "cache" / "tsmtl"
