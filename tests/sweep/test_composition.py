"""From a command line to jobs."""

import json
from collections.abc import Iterator

import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode

from tsmtl.config.arguments import prepare_arguments
from tsmtl.config.errors import UserError
from tsmtl.config.location import config_dir
from tsmtl.sweep.composition import Composer
from tsmtl.sweep.job import Job


@pytest.fixture
def composer() -> Iterator[Composer]:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        config = hydra.compose_config("train", [], RunMode.MULTIRUN, with_log_configuration=False)
        yield Composer(HydraContext(hydra.config_loader, Callbacks()), config)


def jobs(composer, *each):
    return composer.jobs([prepare_arguments(list(arguments)) for arguments in each])


def test_a_job_is_named_by_what_differs_in_one_form(composer):
    found = jobs(
        composer,
        ["model=gru", "lr=1e-3", "seed=1", "alpha=1", "hydra.sweep.dir=a"],
        ["model=gru", "lr=0.001", "seed=2", "alpha=1.0", "hydra.sweep.dir=b"],
        ["model=lstm", "lr=0.01", "seed=2", "alpha=1.0", "hydra.sweep.dir=b"],
    )
    assert [job.name for job in found] == [
        "model=gru lr=0.001 seed=1",
        "model=gru lr=0.001 seed=2",
        "model=lstm lr=0.01 seed=2",
    ]
    assert [job.flat["model"] for job in found] == ["gru", "gru", "lstm"]
    assert {job.subdir for job in found} == {"{settings}-{hash}"}


def test_composing_a_job_leaves_the_next_one_as_it_was(composer):
    first, _, third = jobs(
        composer, ["trainer.momentum=0.5"], ["model=gru", "data.noise=0.7"], ["trainer.momentum=0.5"]
    )
    assert (first.flat, first.choices, first.key) == (third.flat, third.choices, third.key)
    assert third.flat["data"]["noise"] == 0.3


def test_the_one_job_of_a_sweep_has_a_name(composer):
    assert [job.name for job in jobs(composer, ["lr=1e-3"])] == ["the one job"]


def test_a_job_survives_its_way_to_another_process(composer):
    (job,) = jobs(composer, ["lr=1e-3"])
    assert Job.from_message(json.loads(json.dumps(job.message()))) == job


def test_every_problem_of_every_job_is_named(composer):
    with pytest.raises(UserError) as caught:
        jobs(composer, ["lr=1"], ["lr=1e-3"], ["lr=2", "alpha=7", "model=no"])
    assert [line.partition(":")[0] for line in caught.value.lines] == ["job 0 (lr=1)", "job 2 (lr=2)"]
    assert "model: must be one of" in caught.value.lines[1]


@pytest.mark.parametrize("subdir", ["../x/${hydra.job.num}", "/tmp/x", "a/../../b", ".", "a/.."])
def test_a_jobs_folder_lies_within_the_sweeps(composer, subdir):
    with pytest.raises(UserError) as caught:
        jobs(composer, [f"hydra.sweep.subdir={subdir}"])
    (line,) = caught.value.lines
    asked = subdir.replace("${hydra.job.num}", "0")
    assert line == f"job 0: hydra.sweep.subdir: must be the name of a folder within hydra.sweep.dir (got '{asked}')"


@pytest.mark.parametrize("subdir", ["${hydra.job.num}", "a/b-{hash}", "..a", "a/../b"])
def test_a_jobs_folder_may_have_any_name_within_the_sweeps(composer, subdir):
    (job,) = jobs(composer, [f"hydra.sweep.subdir={subdir}"])
    assert job.subdir == subdir.replace("${hydra.job.num}", "0")


@pytest.mark.parametrize(("paths", "refused"), [(["m.pt", "m.pt"], 1), (["m.pt", "n.pt"], 0), (["{job}.pt"] * 2, 0)])
def test_a_checkpoint_that_jobs_would_overwrite_is_refused(composer, paths, refused):
    each = [[f"lr=1e-{3 + i}", f"best_model_path={path}"] for i, path in enumerate(paths)]
    if refused:
        with pytest.raises(UserError, match=r"2 jobs would overwrite each other's m\.pt"):
            jobs(composer, *each)
    else:
        assert len(jobs(composer, *each)) == 2
