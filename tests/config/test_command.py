"""What the command line answers to wrong and right settings, before any training."""

import subprocess
import sys
from pathlib import Path

import pytest

from tsmtl.config.arguments import prepare_arguments

HEAVY = ("torch", "numpy", "matplotlib", "aeon", "scipy", "mlflow", "tensorboard")


def modules_after(arguments: list[str], tmp_path: Path) -> tuple[int, str, set[str]]:
    """Run the command in a process of its own; give exit code, stderr and which heavy modules it imported."""
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print([m for m in {HEAVY!r} if m in sys.modules], file=open('modules.txt', 'w')))\n"
        f"sys.argv = ['tsmtl-train', *{arguments!r}]\n"
        "from tsmtl.train import cli\n"
        "cli()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    imported = set(eval((tmp_path / "modules.txt").read_text()))
    (tmp_path / "modules.txt").unlink()
    return done.returncode, done.stderr, imported


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["--cfg", "job"], 0), (["lr=abc"], 2), (["model=lstmm"], 2), (["-m", "lr=-1,1"], 2)],
)
def test_an_answer_without_training_imports_no_heavy_module(tmp_path, arguments, code):
    returned, err, imported = modules_after(arguments, tmp_path)
    assert returned == code, err
    assert imported == set()
    assert list(tmp_path.iterdir()) == [], "nothing may be written"


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["lr=abc"], ["tsmtl-train: lr: must be a number in (0, 0.1] (got 'abc')"]),
        (
            ["model=lstmm"],
            [
                "tsmtl-train: model: must be one of cnn1d, fc, gru, lstm, lstm_fcn, lstm_fcn_multi (got 'lstmm'); "
                "did you mean 'lstm'?"
            ],
        ),
        (["+alpha2=1"], ["tsmtl-train: alpha2: unknown setting; did you mean 'alpha'?"]),
        (
            ["lr=1e-3,1e-2"],
            ["tsmtl-train: lr: must be one value (got 1e-3,1e-2); -m trains with each of "],
        ),
        (["~alpha"], ["tsmtl-train: alpha: missing; task=multi needs it (a number in [0, 1])"]),
        (
            ["model=gru", "hidden_size=0", "alpha=2", "sed=1"],
            [
                "tsmtl-train: hidden_size: must be a whole number, at least 1 (got 0)",
                "tsmtl-train: sed: unknown setting; did you mean 'seed'?",
                "tsmtl-train: alpha: must be a number in [0, 1] (got 2)",
            ],
        ),
        (["input_size=4", "device=cpu"], ["tsmtl-train: input_size: 4 contradicts the data, where it is 3 (C of the "]),
        (
            ["num_classes_1=7", "device=cpu"],
            ["tsmtl-train: num_classes_1: 7 contradicts the data, where 'fault' has 4 "],
        ),
        (
            ["model=cnn1d", "seq_len=31", "device=cpu"],
            ["tsmtl-train: seq_len: 31 contradicts the data, where it is 32 (T of the series in data=synthetic)"],
        ),
        (
            ["model=fc", "device=cpu"],
            ["tsmtl-train: data=synthetic: model=fc reads vectors (N, E), the input is series"],
        ),
        (["model=cnn1d", "kernel_size=17", "device=cpu"], ["tsmtl-train: kernel_size: 17 does not fit into the 16 + "]),
        (
            ["model=cnn1d", "kernel_size=11", "stride=2", "batch_size=1", "device=cpu"],
            ["tsmtl-train: batch_size: must be at least 2 (got 1) where series of T=32 come down to one"],
        ),
        (
            ["data=table", "data.path=t.csv", "data.window=5", "data.regression_target=[a,b]"],
            ["tsmtl-train: data.regression_target: must be text or null (got "],
        ),
        (["data=npz", "data.path=none.npz"], ["tsmtl-train: data.path: there is no file none.npz"]),
        (["experiment=none.yaml"], ["tsmtl-train: experiment: no file none.yaml"]),
        (
            ["trainer.precision=bfloat16"],
            [
                "tsmtl-train: trainer.precision: must be one of float32, tf32, bf16 (got 'bfloat16'); "
                "did you mean 'bf16'?"
            ],
        ),
        (
            ["tasks=[{name: a, kind: cls, target: läuft}]"],
            ["tsmtl-train: tasks: cannot be read (got [{name: a, kind: cls, target: läuft}]); every bracket and"],
        ),
        (["data.channels=['a b',läuft]"], ["tsmtl-train: data.channels: cannot be read (got ['a b',läuft]); every "]),
        (["tasks=[{name: a"], ["tsmtl-train: tasks: cannot be read (got [{name: a); every bracket and"]),
        (["plugins=[no_such_module]", "device=cpu"], ["tsmtl-train: plugins: importing 'no_such_module' failed"]),
    ],
)
def test_wrong_input_gets_one_line_per_problem_exit_code_2_and_no_file(tsmtl_train, tmp_path, arguments, lines):
    answer = tsmtl_train(*arguments)
    assert answer.code == 2
    assert len(answer.lines) == len(lines), answer.err
    for said, line in zip(answer.lines, lines, strict=True):
        assert said.startswith(line)
    assert list(tmp_path.iterdir()) == [], "a refused run leaves nothing"


def test_cuda_as_typed_is_an_error_where_there_is_none(tsmtl_train, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    answer = tsmtl_train("device=cuda", "num_epochs=1")
    assert answer.code == 2
    assert answer.lines == [
        "tsmtl-train: device: cuda was asked for, but PyTorch finds no CUDA device here; take device=cpu"
    ]


def test_a_misspelt_key_in_an_experiment_file_is_refused_by_name(tsmtl_train, tmp_path):
    (tmp_path / "mine.yaml").write_text("num_epoch: 3\ntrainer:\n  optimiser: sgd\n")
    answer = tsmtl_train("experiment=mine.yaml")
    assert answer.code == 2
    assert answer.lines == [
        "tsmtl-train: num_epoch: unknown setting; did you mean 'num_epochs'?",
        "tsmtl-train: trainer.optimiser: unknown setting; did you mean 'trainer.optimizer'?",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [("[1, 2]", "must hold settings"), ("a: [1", "is not a YAML file"), ("just text", "just text: unknown setting")],
)
def test_an_experiment_file_that_is_no_settings_is_refused(tsmtl_train, tmp_path, text, said):
    (tmp_path / "mine.yaml").write_text(text)
    answer = tsmtl_train("experiment=mine.yaml")
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert said in answer.err


def test_every_job_of_a_sweep_is_checked_before_one_trains(tsmtl_train, tmp_path):
    answer = tsmtl_train("-m", "model=lstm,gru", "lr=1e-3,-1", "num_epochs=1")
    assert answer.code == 2
    assert [line.partition(": must")[0] for line in answer.lines] == [
        "tsmtl-train: job 1 (model=lstm lr=-1): lr",
        "tsmtl-train: job 3 (model=gru lr=-1): lr",
    ]
    assert list(tmp_path.iterdir()) == []


def test_plain_settings_are_forced_and_groups_are_left_to_hydra():
    arguments = ["model=gru", "lr=1", "data.path=x", "hydra.run.dir=y", "+a=1", "~b", "hydra/launcher=basic", "-m"]
    assert prepare_arguments(arguments) == [
        "model=gru",
        "++lr=1",
        "++data.path=x",
        "hydra.run.dir=y",
        "+a=1",
        "~b",
        "hydra/launcher=basic",
        "-m",
    ]
    assert prepare_arguments(["experiment=null"]) == ["~experiment"]


@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_closed_pipe_is_no_error(tmp_path, reader):
    command = f"{sys.executable} -m tsmtl.train --help | {reader}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


@pytest.mark.parametrize("argument", ["model=null", "data=null", "trainer=null"])
def test_a_group_set_to_null_is_refused_in_one_line(tsmtl_train, tmp_path, argument):
    answer = tsmtl_train(argument)
    assert (answer.code, len(answer.lines)) == (2, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_over_a_model_that_is_not_there_leaves_nothing(tsmtl_train, tmp_path):
    answer = tsmtl_train("-m", "model=gru,foo")
    assert (answer.code, len(answer.lines)) == (2, 1)
    assert "(got 'foo')" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_checkpoint_is_never_overwritten_by_one(tsmtl_train, tmp_path):
    (tmp_path / "mine.npz").write_bytes(b"months of measurements")
    answer = tsmtl_train("best_model_path=mine.npz", "device=cpu", "num_epochs=1")
    assert answer.code == 2
    assert answer.lines == [
        "tsmtl-train: best_model_path: mine.npz is there and no checkpoint of tsmtl; name another file, or remove it "
        "first"
    ]
    assert (tmp_path / "mine.npz").read_bytes() == b"months of measurements"


def test_null_beside_other_experiments_is_refused_in_one_line(tsmtl_train):
    answer = tsmtl_train("-m", "experiment=har,null")
    assert (answer.code, len(answer.lines)) == (2, 1)


@pytest.mark.parametrize("path", ["/proc/no/best.pt", "/proc/best.pt"])
def test_a_best_model_path_that_cannot_be_written_is_refused_before_training(tsmtl_train, tmp_path, path):
    answer = tsmtl_train(f"best_model_path={path}", "device=cpu", "num_epochs=1")
    assert answer.code == 2, answer.err
    assert answer.lines[0].startswith(f"tsmtl-train: best_model_path: cannot write {path}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        *("a=b.npz", "Prüfstand (1).npz", "x,y.npz", "it's.npz", "#1.npz", "[old].npz", "a b.npz", "100%.npz"),
        "a name of many words, as people like to give to what they measured last summer.npz",
    ],
)
def test_a_path_needs_no_quotes_of_hydras_own(compose, name):
    assert compose("data=npz", f"data.path=/tmp/{name}").data.path == f"/tmp/{name}"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("data.separator=;", ";"),
        ("data.separator=,", ","),
        ("data.entity=Machine #", "Machine #"),
        ("data.time=Time (UTC)", "Time (UTC)"),
        ("data.time_format=%d.%m.%Y, %H:%M", "%d.%m.%Y, %H:%M"),
        ("data.channels=[Temp °C, P (bar),sensor_*]", ["Temp °C", "P (bar)", "sensor_*"]),
        ("data.channels=['a, b',c]", ["a, b", "c"]),
        ("data.class_bin_names=[<30,>=30]", ["<30", ">=30"]),
        ("data.condition=[Ölstand,2]", ["Ölstand", "2"]),
        ("data.spill_folder=/tmp/Prüfstand (1)", "/tmp/Prüfstand (1)"),
    ],
)
def test_names_of_columns_need_no_quotes_of_hydras_own(compose, argument, value):
    words = ["data=table", "data.path=t.csv", "data.window=5", "data.class_target=c", "data.regression_target=r"]
    words += ["data.class_bins=[30]"] if "bin_names" in argument else []
    words += ["data.time=when"] if "time_format" in argument else []
    settings = compose(*words, argument)
    assert getattr(settings.data, argument.partition("=")[0].removeprefix("data.")) == value


@pytest.mark.parametrize("source", ["data=npz", "data=vectors"])
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("data.regression_target=wear (mm)", "wear (mm)"),
        ("data.regression_target=[wear,load]", ["wear", "load"]),
        ("data.regression_target=[wear (mm), Öl]", ["wear (mm)", "Öl"]),
        ("data.regression_target=['wear, mm',load]", ["wear, mm", "load"]),
        ("data.regression_target='[wear]'", "[wear]"),
        ("data.regression_target=wear [mm]", "wear [mm]"),
    ],
)
def test_numbers_are_one_name_or_a_list_of_names(compose, source, argument, value):
    assert compose(source, "data.path=v.csv", "model=fc", argument).data.regression_target == value


def test_features_need_no_quotes_of_hydras_own(compose):
    words = ["data=vectors", "data.path=v.csv", "model=fc", "data.features=[Temp °C,f_*]"]
    assert compose(*words).data.features == ["Temp °C", "f_*"]


@pytest.mark.parametrize(
    ("typed", "quoted"),
    [
        ("data.regression_target=[wear,load (kN)],[wear]", "++data.regression_target=[wear,'load (kN)'],[wear]"),
        ("data.regression_target=[wear,load],wear", "++data.regression_target=[wear,load],wear"),
        ("data.regression_target=wear,a=b", "++data.regression_target=wear,'a=b'"),
        ("best_model_path=m/{job}.pt", "++best_model_path='m/{job}.pt'"),
        ("best_model_path=${model}/m.pt", "++best_model_path=${model}/m.pt"),
        ("hydra.sweep.subdir={hash}", "hydra.sweep.subdir='{hash}'"),
        ("data.path=a=b.npz,c d.npz,é.npz", "++data.path='a=b.npz',c d.npz,'é.npz'"),
        ("data.path=choice(a=1,b)", "++data.path=choice(a=1,b)"),
        ("data.path='a,b','c'", "++data.path='a,b','c'"),
    ],
)
def test_values_of_a_sweep_may_have_any_signs(typed, quoted):
    assert prepare_arguments(["-m", typed])[1] == quoted


def test_a_comma_in_a_path_still_sweeps_with_the_flag_for_it():
    assert prepare_arguments(["-m", "data.path=a.npz,b.npz"])[1] == "++data.path=a.npz,b.npz"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("experiment: har\n", "mine.yaml names an experiment itself; put its settings in, or run it instead"),
        ("1: 2\n", "mine.yaml: 1 is no name of a setting"),
        ("lr: ???\n", "mine.yaml: lr: ??? stands for a value that must be given"),
    ],
)
def test_nothing_in_an_experiment_file_is_dropped_silently(tsmtl_train, tmp_path, text, line):
    (tmp_path / "mine.yaml").write_text(text)
    answer = tsmtl_train("experiment=mine.yaml", "device=cpu", "num_epochs=1")
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert answer.lines[0].endswith(line)


@pytest.mark.parametrize("where", ["/proc/nowhere/run", "taken/run"])
@pytest.mark.parametrize(("setting", "sweep"), [("hydra.run.dir", []), ("hydra.sweep.dir", ["-m", "lr=1e-3,1e-4"])])
def test_a_folder_that_cannot_be_made_is_one_line(tsmtl_train, tmp_path, where, setting, sweep):
    (tmp_path / "taken").write_text("a file")
    answer = tsmtl_train(*sweep, f"{setting}={where}", "device=cpu")
    assert answer.code == 2
    assert len(answer.lines) == 1, answer.err
    assert answer.lines[0].startswith(f"tsmtl-train: {setting}: cannot write ")


def test_version(tsmtl_train):
    import tsmtl

    assert tsmtl_train("--version").out == f"tsmtl {tsmtl.__version__}\n"


def test_completion_scripts_of_hydra_are_left_alone():
    assert prepare_arguments(["-sc", "install=bash"]) == ["-sc", "install=bash"]


def test_an_experiment_file_cannot_choose_what_runs_a_sweep(tsmtl_train, tmp_path):
    (tmp_path / "mine.yaml").write_text("defaults: [{override /hydra/sweeper: tsmtl_optuna}]\nlr: 1.0e-3\n")
    answer = tsmtl_train("-m", "experiment=mine.yaml", "lr=1e-3,1e-2")
    said = "experiment: mine.yaml: 'override /hydra/sweeper' is for the command line; type hydra/sweeper=tsmtl_optuna"
    assert (answer.code, answer.lines) == (2, [f"tsmtl-train: {said}"])


def test_an_interval_without_a_search_names_the_search(tsmtl_train, tmp_path):
    answer = tsmtl_train("-m", "lr=interval(1e-4,1e-2)")
    said = "hydra/sweeper: an interval is searched, not swept; hydra/sweeper=tsmtl_optuna does that"
    assert (answer.code, answer.lines) == (2, [f"tsmtl-train: {said}"])
    assert list(tmp_path.iterdir()) == []
