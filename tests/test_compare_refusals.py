"""What ``tsmtl-compare`` refuses, or says before it trains anything."""

import pytest

from tests.test_compare import SMALL


def test_dry_run_says_what_is_left_and_writes_nothing(tsmtl_compare, tmp_path):
    answer = tsmtl_compare(*SMALL, "hydra.launcher.dry_run=true")
    assert (answer.code, list(tmp_path.iterdir())) == (0, [])
    assert answer.out == "6 of 6 runs of the search are left; at most 9 runs follow from what it finds\n"


def test_a_folder_with_other_things_is_left_alone(tsmtl_compare, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    said = "compare.folder: mine is not empty, and holds no comparison to go on with; name another"
    for more in ([], ["hydra.launcher.dry_run=true"]):
        answer = tsmtl_compare(*SMALL, "compare.folder=mine", *more)
        assert (answer.code, answer.lines) == (2, [f"tsmtl-compare: {said}"])
    (tmp_path / "mine" / "thesis.txt").rename(tmp_path / "mine" / "train.log")  # all that a killed process may leave
    answer = tsmtl_compare(*SMALL, "compare.folder=mine", "hydra.launcher.dry_run=true")
    assert answer.code == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["data.entity=m"], ["the test split has 4 entities, ", "give it more, by a greater data.test_fraction"]),
        ([], ["the test split has 1 entity, and chance", "windows of one entity are not independent of each other; "]),
        (["data.entity=m", "data.test_fraction=0.3"], []),
    ],
)
def test_what_can_never_be_judged_is_said_before_it_is_trained(tsmtl_compare, tmp_path, more, said):
    rows = [f"{i // 12},{i % 12},{i % 5},{'ab'[i % 5 % 2]},{i % 7}" for i in range(240)]
    (tmp_path / "a.csv").write_text("m,t,x,c,r\n" + "\n".join(rows) + "\n")
    words = [
        "data=table",
        "data.path=a.csv",
        "data.channels=[x]",
        "data.window=3",
        "model=cnn1d",
        "data.class_target=c",
    ]
    words += ["data.regression_target=r", "output_channels=2", "kernel_size=3", "hydra.launcher.dry_run=true"]
    answer = tsmtl_compare(*words, *more)
    assert answer.code == 0, answer.err
    assert len(answer.lines) == bool(said)
    assert all(part in answer.err for part in said)


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["task=reg", "model=gru"], ["task: reg has one task, and nothing to compare; take task=multi"]),
        (
            ["compare.seeds=1", "lr=7"],
            [
                "compare.seeds: must be a whole number, at least 2 (got 1)",
                "lr: must be a number in (0, 0.1] (got 7)",
            ],
        ),
        (["compare.sed=3"], ["compare.sed: unknown setting; did you mean 'compare.seeds'?"]),
        (
            ["compare.weightings=[bisecter]", "compare.variants=[control]", "compare.budget_task=valve"],
            [
                "compare.variants: control is compared with multi; name that too",
                "compare.weightings: must be one of fixed, uncertainty, dwa, rlw, geometric, famo, gradnorm, dbmtl, "
                "pcgrad, bisector, mgda, cagrad, aligned (got 'bisecter'); did you mean 'bisector'?",
                "compare.budget_task: must be one of cls, reg (got 'valve')",
            ],
        ),
        (["compare.variants=[]"], ["compare.variants: nothing is left to compare with the single-task twins"]),
        (["compare.alphas=[0.5,0.5]"], ["compare.alphas: each value once is enough"]),
        (
            ["trainer.monitor=val/loss"],
            ["trainer.monitor: a comparison chooses each variant's best epoch by its joint score; leave it out"],
        ),
        (
            ["best_model_path=a.pt"],
            ["best_model_path: each run of a comparison keeps its model in its own folder; leave it out"],
        ),
        (
            ["lr=0.05", "num_epochs=3", "model=gru", "compare.lr_factors=[1,3]", "compare.variants=[multi,control]"],
            ["compare.lr_factors: 3 times lr=0.05 must be a number in (0, 0.1] (got 0.15)"],
        ),
        (
            ["model=cnn1d", "trainer.class_weights=[1,2]"],
            ["trainer.class_weights: must be one weight per class (got 2 for the 4 of cls)"],
        ),
        (["compare.folder=/proc/here"], ["compare.folder: cannot write /proc/here (No such file or directory)"]),
        (
            ["compare.folder=/proc/here", "hydra.launcher.dry_run=true"],
            ["compare.folder: cannot write /proc/here (No such file or directory)"],
        ),
        (["compare.folder=/proc/version"], ["compare.folder: /proc/version is a file; name a folder"]),
        (
            ["compare.folder=/proc/self"],
            ["compare.folder: cannot write /proc/self (No such file or directory)"],
        ),
        *[
            ([word], ["compare: is a group of settings; give each by itself, such as compare.seeds=3"])
            for word in ("compare=x", "compare=3", "+compare={seeds: 3}")
        ],
        (["+compare.seeds=1"], ["compare.seeds: must be a whole number, at least 2 (got 1)"]),
        (["~compare.seeds"], ["compare.seeds: missing; tsmtl-compare needs it (a whole number, at least 2)"]),
        (["compare.seeds=2,3"], ["compare.seeds: must be one value (got 2,3); a list is written [2,3]"]),
        (
            ["hydra.run.dir=a", "hydra.sweep.dir=b", "resume=true"],
            [
                "resume: the same command goes on by itself with what it has left; leave it out",
                "hydra.run.dir: a comparison keeps all of its runs in compare.folder; name that",
                "hydra.sweep.dir: a comparison keeps all of its runs in compare.folder; name that",
            ],
        ),
        (
            ["compare.label_shares=[0.1,1]"],
            ["compare.label_shares: is read with compare.budget_task, the task that has few labels; name it"],
        ),
        (
            ["trainer.sampler=balanced", "alpha=0", "trainer.joint_weights={reg: 0}"],
            [
                "trainer.sampler: balanced draws by the classes of one task, which the twins of the others cannot; "
                "take random, and trainer.class_weights=balanced where classes are rare",
                "alpha: cls has no weight, so that all tasks together would not learn it; give it some, or "
                "leave it out",
                "trainer.joint_weights: reg has 0, so that the epoch would be chosen by others alone, and that of its "
                "twin by itself; give it more",
            ],
        ),
        (["-m"], ["-m: unknown flag; settings are written key=value, --help lists them"]),
        (
            ["data=npz", "data.path=nix.npz"],
            ["data.path: there is no file nix.npz; check the name, or the folder you started from"],
        ),
        (["hydra.launcher.n_jobs=0"], ["hydra.launcher.n_jobs: must be a whole number, at least 1 or null (got 0)"]),
    ],
)
def test_wrong_input_is_refused_before_anything_is_trained(tsmtl_compare, tmp_path, arguments, lines):
    answer = tsmtl_compare(*arguments)
    assert (answer.code, answer.lines) == (2, [f"tsmtl-compare: {line}" for line in lines])
    assert list(tmp_path.iterdir()) == []
