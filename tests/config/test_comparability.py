"""Whether scores of jobs can be compared."""

import pytest

from tsmtl.config.comparability import why_not_comparable, why_not_searched

MEND = "; trainer.monitor=joint does"


@pytest.mark.parametrize(
    ("common", "jobs", "said"),
    [
        (
            [],
            [["alpha=0.2"], ["alpha=0.8"]],
            f"val/loss does not compare the jobs: alpha changes the loss itself{MEND}",
        ),
        ([], [["alpha=1"], ["alpha=1.0"]], None),
        ([], [["lr=1e-3"], ["lr=1e-4"]], None),
        ([], [["alpha=0.5"], ["weighting=bisector"], ["weighting=famo"]], None),
        (["trainer.monitor=val/cls/macro_f1"], [["alpha=0.2"], ["alpha=0.8"]], None),
        (
            ["trainer.monitor=val/cls/loss"],
            [["trainer.regression_loss=mae"], ["trainer.regression_loss=mse"]],
            None,
        ),
        (
            ["trainer.monitor=val/reg/loss"],
            [["trainer.regression_loss=mae"], ["trainer.label_smoothing=0.1"]],
            "val/reg/loss does not compare the jobs: trainer.regression_loss changes the loss itself" + MEND,
        ),
        (
            ["task=reg", "model=gru"],
            [["trainer.huber_delta=2", "data.scale_target=none"], ["data.transform_target=log1p"]],
            "val/loss does not compare the jobs: trainer.huber_delta, data.transform_target, data.scale_target change "
            "the loss itself; trainer.monitor=val/reg/rmse does",
        ),
        (
            ["model=gru"],
            [["task=reg"], ["task=multi"]],
            "val/loss does not compare the jobs: task changes the loss itself; trainer.monitor=val/reg/rmse does",
        ),
        (
            ["model=gru"],
            [["task=reg"], ["task=cls"]],
            "val/loss does not compare the jobs: task changes the loss itself, and no metric is common to all of them",
        ),
        (
            ["model=gru"],
            [["trainer.monitor=val/loss"], ["trainer.monitor=val/cls/ece"]],
            "trainer.monitor: jobs that are judged by val/loss, val/cls/ece cannot be ranked; take one for all",
        ),
    ],
)
def test_what_changes_the_loss_itself_is_named_with_its_mend(compose, common, jobs, said):
    assert why_not_comparable([compose(*common, *job) for job in jobs]) == said


def test_fixed_with_an_alpha_of_an_experiment_has_another_loss_than_other_weightings(compose, tmp_path):
    (tmp_path / "mine.yaml").write_text("alpha: 0.3\n")
    jobs = [compose(f"experiment={tmp_path / 'mine.yaml'}", f"weighting={name}") for name in ("fixed", "bisector")]
    assert why_not_comparable(jobs) == f"val/loss does not compare the jobs: alpha changes the loss itself{MEND}"


def test_a_search_of_what_changes_the_loss_is_named_too(compose):
    said = "val/loss does not compare the jobs: alpha changes the loss itself; trainer.monitor=joint does"
    assert why_not_searched(compose(), ["lr", "alpha"]) == said
    assert why_not_searched(compose(), ["lr"]) is None
    assert why_not_searched(compose("trainer.monitor=val/cls/auroc"), ["alpha"]) is None
