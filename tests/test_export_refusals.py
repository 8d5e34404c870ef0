"""Where ``tsmtl-export`` writes no file: numbers that differ, disks, models and settings that cannot be."""

import subprocess
import sys

import pytest
import torch

from tests.test_export import C, store
from tsmtl.checkpoint.file import write_checkpoint


@pytest.mark.parametrize("old", [None, b"an older model"])
def test_above_the_tolerance_no_file_is_written_and_an_old_one_stays(tsmtl_export, tmp_path, old):
    checkpoint = store(tmp_path / "best_model.pt", "gru-one-way-max")
    if old:
        (tmp_path / "model.onnx").write_bytes(old)
    answer = tsmtl_export(f"checkpoint={checkpoint}", "output=model.onnx", "tolerance=0")
    assert answer.code == 1
    assert len(answer.lines) == 1
    assert answer.lines[0].startswith("tsmtl-export: onnxruntime and PyTorch differ: cls by ")
    assert answer.lines[0].endswith("; tolerance=0; model.onnx was not written")
    assert answer.out == ""
    left = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p != checkpoint}
    assert left == ({"model.onnx": old} if old else {})


def test_a_full_disk_leaves_the_old_file(tsmtl_export, tmp_path, monkeypatch):
    checkpoint = store(tmp_path / "best_model.pt", "fc")
    (tmp_path / "model.onnx").write_bytes(b"an older model")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    answer = tsmtl_export(f"checkpoint={checkpoint}", "output=model.onnx")
    assert answer.code == 1
    assert answer.lines == ["tsmtl-export: model.onnx could not be written (No space left on device)"]
    assert (tmp_path / "model.onnx").read_bytes() == b"an older model"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best_model.pt", "model.onnx"]


PLUGIN = """
import numpy as np
import torch
from tsmtl.models import Backbone, register_backbone

@register_backbone("{name}")
class Odd(Backbone):
    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.layer, self.embed_dim = torch.nn.Linear(input_size, 4), 4

    def forward(self, x, lengths=None):
        return {body}
"""


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("sized", "self.layer(x.mean(dim=2)) * float(len(x))", "onnxruntime and PyTorch differ: cls by "),
        ("foreign", "torch.special.i0(self.layer(x.mean(dim=2)))", "the model cannot be written as ONNX ("),
    ],
)
def test_a_backbone_of_the_users_own_that_does_not_survive_the_export_is_refused(
    tsmtl_export, tmp_path, name, body, said
):
    (tmp_path / f"{name}_backbone.py").write_text(PLUGIN.format(name=name, body=body))
    store(tmp_path / "plain.pt", "cnn1d")
    content = torch.load(tmp_path / "plain.pt", weights_only=True)
    del content["format_version"]
    content["backbone"] |= {"name": name, "arguments": {}}
    heads = {
        key: value[:, :4] if value.ndim == 2 else value for key, value in content["state"].items() if "heads" in key
    }
    layer = torch.nn.Linear(C, 4)
    content["state"] = {
        **heads,
        "backbone.layer.weight": layer.weight.detach(),
        "backbone.layer.bias": layer.bias.detach(),
    }
    write_checkpoint(tmp_path / "best_model.pt", content)
    answer = tsmtl_export("checkpoint=best_model.pt", "output=model.onnx", f"plugins=[{name}_backbone]")
    assert answer.code == 1, answer.err
    assert len(answer.lines) == 1
    assert answer.lines[0].startswith(f"tsmtl-export: {said}")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("module", ["onnx", "onnxruntime"])
def test_without_the_extra_one_line_names_it(tsmtl_export, tmp_path, monkeypatch, module):
    checkpoint = store(tmp_path / "best_model.pt", "fc")
    monkeypatch.setitem(sys.modules, module, None)
    answer = tsmtl_export(f"checkpoint={checkpoint}", "output=model.onnx")
    assert answer.code == 2
    assert answer.lines == [f"tsmtl-export: {module} is missing: pip install 'tsmtl[export]' brings it"]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["checkpoint=best_model.pt", "output=a.onnx"], ["checkpoint: there is no file best_model.pt"]),
        (
            [],
            [
                "checkpoint: missing; give checkpoint=... (the trained model that tsmtl-train stored)",
                "output: missing; give output=... (the ONNX file, its name ending in .onnx; its folder must be there)",
            ],
        ),
        (["checkpoint=here.pt", "output=a.pt"], ["output: must end in .onnx (got a.pt)"]),
        (["checkpoint=here.pt", "output=folder.onnx"], ["output: folder.onnx is a folder; name a file"]),
        (["checkpoint=here.pt", "output=no/a.onnx"], ["output: there is no folder no"]),
        (["checkpoint=here.pt", "output=a.onnx"], ["here.pt: not a checkpoint of tsmtl (nor any archive of PyTorch)"]),
        (
            ["checkpoint=best_model.pt", "output=no/a.pt"],
            [
                "checkpoint: there is no file best_model.pt",
                "output: must end in .onnx (got no/a.pt)",
                "output: there is no folder no",
            ],
        ),
        (
            ["tolerance=-1", "checkpont=a.pt", "checkpoint=a.pt", "output=a.onnx"],
            [
                "checkpont: unknown setting; did you mean 'checkpoint'?",
                "tolerance: must be a number, at least 0 (got -1)",
            ],
        ),
    ],
)  # fmt: skip
def test_wrong_input_gets_one_line_per_problem_exit_code_2_and_no_file(tsmtl_export, tmp_path, arguments, lines):
    (tmp_path / "here.pt").write_text("no checkpoint")
    (tmp_path / "folder.onnx").mkdir()
    answer = tsmtl_export(*arguments)
    assert answer.code == 2
    assert sorted(answer.lines) == sorted(f"tsmtl-export: {line}" for line in lines)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.onnx", "here.pt"]


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["tolerance=abc"], 2), (["output=a.pt"], 2)])
def test_an_answer_without_export_imports_no_heavy_module(tmp_path, arguments, code):
    program = (
        "import sys, atexit\n"
        "heavy = ('torch', 'numpy', 'onnx', 'onnxruntime')\n"
        "atexit.register(lambda: print([m for m in heavy if m in sys.modules], file=sys.stderr))\n"
        f"sys.argv = ['tsmtl-export', *{arguments!r}]\n"
        "from tsmtl.export import cli\n"
        "cli()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
    assert list(tmp_path.iterdir()) == []
