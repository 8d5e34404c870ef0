import gc
import importlib

import pytest

from tsmtl.config.garbage import importing


@pytest.mark.parametrize("searching", [True, False])
def test_after_an_import_python_searches_for_garbage_as_before_also_where_it_fails(searching):
    before = gc.isenabled()
    try:
        (gc.enable if searching else gc.disable)()
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled() == searching
        with pytest.raises(ModuleNotFoundError), importing():
            importlib.import_module("no_such_module")
        assert gc.isenabled() == searching
    finally:
        (gc.enable if before else gc.disable)()
