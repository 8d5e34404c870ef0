"""What is typed comes to Hydra in the order that its parser takes."""

import pytest

from tsmtl.config.arguments import options_first


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        (["lr=1", "-m", "seed=1,2"], ["-m", "lr=1", "seed=1,2"]),
        (["lr=1", "--config-dir", "a=b", "seed=1"], ["--config-dir", "a=b", "lr=1", "seed=1"]),
        (["--cfg", "job", "lr=-1", "--resolve", "~x"], ["--cfg", "job", "--resolve", "lr=-1", "~x"]),
        (["lr=1", "--info", "seed=1"], ["--info=all", "lr=1", "seed=1"]),
        (["lr=1", "-i", "defaults", "seed=1"], ["-i", "defaults", "lr=1", "seed=1"]),
        (["lr=1", "--info"], ["--info=all", "lr=1"]),
        (["--info", "~experiment"], ["--info=all", "~experiment"]),
        (["--config-dir=x", "lr=1"], ["--config-dir=x", "lr=1"]),
        (["-cd", "-odd", "lr=1"], ["-cd", "-odd", "lr=1"]),
    ],
)
def test_options_may_stand_between_settings(typed, taken):
    assert options_first(typed) == taken


def test_a_folder_of_configs_may_be_named_between_settings(tsmtl_train, tmp_path):
    (tmp_path / "model").mkdir()
    answer = tsmtl_train("num_epochs=3", "--config-dir", str(tmp_path), "seed=7", "--cfg", "job", "lr=2e-3")
    assert answer.code == 0, answer.err
    assert {"num_epochs: 3", "seed: 7", "lr: 0.002"} <= {*answer.out.splitlines()}
