import gc
import importlib
import subprocess
import sys

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


LEAKY = """
import os
from tsmtl.models import Backbone, register_backbone

log = open(f"log_{os.getpid()}", "w")
log.write("a line")
ring = [open(f"ring_{os.getpid()}", "w")]
ring[0].write("a line")
ring.append(ring)


@register_backbone("leaky")
class Leaky(Backbone):
    def note(self):
        log.write("more")
"""


@pytest.mark.parametrize("how", ["train", "predict", "sweep"])
def test_what_a_plugin_has_not_flushed_is_written_at_the_end(tmp_path, trained, how):
    (tmp_path / "leaky.py").write_text(LEAKY)
    small = ["model=cnn1d", "output_channels=4", "data.n_instances=60", "num_epochs=1", "hydra.run.dir=run"]
    words = {
        "train": ["tsmtl.train", *small],
        "predict": ["tsmtl.predict", trained("gru").checkpoint, f"data.path={trained('gru').data}", "output=out.csv"],
        "sweep": ["tsmtl.train", "-m", *small, "hydra.sweep.dir=sweep"],
    }[how]
    command = [sys.executable, "-m", *words, "device=cpu", "plugins=[leaky]"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [path.read_text() for path in tmp_path.glob("log_*")] == ["a line"]
    assert [path.read_text() for path in tmp_path.glob("ring_*")] == ["a line"]


def test_a_pipe_that_nobody_reads_does_not_hold_up_the_end(tmp_path):
    blocked = """
import os, sys
from tsmtl.config.garbage import PLUGINS, skip_last_search
PLUGINS.add("mine")
skip_last_search()
reader, writer = os.pipe()
os.set_blocking(writer, False)
while True:
    try:
        os.write(writer, b"x" * 4096)
    except BlockingIOError:
        break
os.set_blocking(writer, True)
pipe, file = os.fdopen(writer, "w"), open("file", "w")
pipe.write("a word")
file.write("a word")
import atexit
atexit._run_exitfuncs()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", blocked], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "file").read_text() == "a word"
