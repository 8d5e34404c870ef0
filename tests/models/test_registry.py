import sys
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from tsmtl.config.errors import UserError
from tsmtl.models import Backbone, register_backbone
from tsmtl.models.registry import BACKBONES, build_backbone, import_plugins


@pytest.fixture(autouse=True)
def _registry_as_before():
    before = dict(BACKBONES)
    yield
    BACKBONES.clear()
    BACKBONES.update(before)


class Mean(Backbone):
    """The mean over time, mapped to ``width`` numbers."""

    def __init__(self, input_size: int, width: int, mode: Literal["a", "b"] = "a") -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, width)
        self.mode = mode
        self.embed_dim = width

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        out: Tensor = self.linear(x.mean(dim=2))
        return out


def lines(error: pytest.ExceptionInfo[UserError]) -> list[str]:
    return error.value.lines


def test_the_decorator_makes_a_class_the_backbone_of_its_name():
    assert register_backbone("mean")(Mean) is Mean
    backbone = build_backbone("mean", {"width": 7}, input_size=3, seq_len=24)
    assert type(backbone) is Mean
    assert backbone(torch.randn(2, 3, 24)).shape == (2, 7)


def test_data_sizes_go_to_constructors_that_ask_for_them():
    class Sized(Backbone):
        def __init__(self, input_size: int, seq_len: int) -> None:
            super().__init__()
            self.sizes = (input_size, seq_len)
            self.embed_dim = input_size * seq_len

        def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
            return x.flatten(1)

    register_backbone("sized")(Sized)
    assert build_backbone("sized", {}, input_size=3, seq_len=24).sizes == (3, 24)


def test_a_taken_name_is_refused_with_its_owner():
    with pytest.raises(UserError) as error:
        register_backbone("gru")(Mean)
    assert lines(error) == ["plugins: the name 'gru' is taken by tsmtl.models.gru.GRU"]
    assert BACKBONES["gru"] is not Mean


def test_the_same_class_may_register_again():
    register_backbone("mean")(Mean)
    again = type("Mean", (Mean,), {"__module__": Mean.__module__, "__qualname__": Mean.__qualname__})  # a reload
    register_backbone("mean")(again)
    assert BACKBONES["mean"] is again


@pytest.mark.parametrize("thing", [nn.Linear, lambda input_size: None])
def test_what_is_no_backbone_is_refused(thing):
    with pytest.raises(UserError, match=r"^plugins: the backbone 'mine' must derive from tsmtl\.models\.Backbone"):
        register_backbone("mine")(thing)
    assert "mine" not in BACKBONES


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError) as error:
        build_backbone("grru", {}, 3, 24)
    assert lines(error) == [
        "model: no backbone is registered as 'grru' (lstm, gru, cnn1d, lstm_fcn, lstm_fcn_multi, fc are); "
        "name the module that does with plugins=[module]"
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["width: missing; model=mean needs it"]),
        ({"width": 4, "depth": 2}, ["depth: not a setting of model=mean"]),
        ({"width": "four"}, ["width: input should be a valid integer (got 'four')"]),
        ({"width": 4.5}, ["width: input should be a valid integer (got 4.5)"]),
        ({"width": 4, "mode": "c"}, ["mode: input should be 'a' or 'b' (got 'c')"]),
        ({"depth": 2}, ["depth: not a setting of model=mean", "width: missing; model=mean needs it"]),
    ],
)
def test_arguments_that_the_constructor_does_not_take_are_named(arguments, expected):
    register_backbone("mean")(Mean)
    with pytest.raises(UserError) as error:
        build_backbone("mean", arguments, 3, 24)
    assert lines(error) == expected


def test_a_collecting_constructor_argument_is_no_setting():
    class Collecting(Mean):
        def __init__(self, input_size: int, *rest: int, **options: int) -> None:
            super().__init__(input_size, width=2)

    register_backbone("collecting")(Collecting)
    assert build_backbone("collecting", {}, 3, 24).embed_dim == 2


def test_a_backbone_that_does_not_say_its_size_is_refused():
    class Sizeless(Backbone):
        def __init__(self, input_size: int) -> None:
            super().__init__()

    register_backbone("sizeless")(Sizeless)
    with pytest.raises(UserError, match="the backbone 'sizeless' must set embed_dim"):
        build_backbone("sizeless", {}, 3, 24)


PLUGIN = """
from __future__ import annotations  # type hints become text

from typing import Literal

from tsmtl.models import Backbone, register_backbone


@register_backbone("from_file")
class FromFile(Backbone):
    def __init__(self, input_size: int, sizes: list[int], mode: Literal["a", "b"] = "a") -> None:
        super().__init__()
        self.embed_dim = sum(sizes)

    def forward(self, x, lengths=None):
        return x.mean(dim=(1, 2))[:, None].repeat(1, self.embed_dim)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Give a function that writes a module into the current folder."""
    monkeypatch.chdir(tmp_path)
    names = []

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        names.append(name)
        return name

    yield write
    for name in names:
        sys.modules.pop(name, None)


def test_a_module_in_the_current_folder_registers_its_backbones(plugin):
    path = list(sys.path)
    import_plugins([plugin("tsmtl_test_plugin", PLUGIN)])
    assert build_backbone("from_file", {"sizes": [2, 3]}, 3, 24).embed_dim == 5
    assert sys.path == path


def test_type_hints_written_as_text_are_checked_too(plugin):
    import_plugins([plugin("tsmtl_test_plugin", PLUGIN)])
    with pytest.raises(UserError) as error:
        build_backbone("from_file", {"sizes": [2, "x"], "mode": "c"}, 3, 24)
    assert lines(error) == [
        "sizes: input should be a valid integer (got 'x')",
        "mode: input should be 'a' or 'b' (got 'c')",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def broken(:", "SyntaxError: "),
    ],
)
def test_a_module_that_fails_on_import_is_named_with_its_reason(plugin, text, reason):
    path = list(sys.path)
    with pytest.raises(UserError) as error:
        import_plugins([plugin("tsmtl_test_broken", text)])
    assert lines(error)[0].startswith(f"plugins: importing 'tsmtl_test_broken' failed ({reason}")
    assert sys.path == path


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(UserError, match="plugins: importing 'tsmtl_no_such_module' failed"):
        import_plugins(["tsmtl_no_such_module"])


def test_a_plugin_that_takes_a_shipped_name_is_refused_in_its_own_words(plugin):
    text = PLUGIN.replace("from_file", "gru")
    with pytest.raises(UserError) as error:
        import_plugins([plugin("tsmtl_test_taken", text)])
    assert lines(error) == ["plugins: the name 'gru' is taken by tsmtl.models.gru.GRU"]


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        ("return x.mean(dim=2)", "must turn (2, 3, 24) into (2, 4), its embed_dim (got (2, 3))"),
        ("return 7", "must turn (2, 3, 24) into (2, 4), its embed_dim (got int)"),
        ("return x @ x", "fails on an input of shape (2, 3, 24) (RuntimeError: Expected size"),
    ],
)
def test_a_backbone_is_tried_once_before_it_is_trained(plugin, forward, said):
    text = f"""
from tsmtl.models import Backbone, register_backbone

@register_backbone("tried")
class Tried(Backbone):
    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.embed_dim = 4

    def forward(self, x, lengths=None):
        {forward}
"""
    import_plugins([plugin("tsmtl_test_tried", text)])
    with pytest.raises(UserError) as error:
        build_backbone("tried", {}, 3, 24)
    (line,) = lines(error)
    assert line.startswith(f"model: the backbone 'tried' {said}")


def test_a_module_that_ends_the_process_is_one_line(plugin):
    with pytest.raises(UserError) as error:
        import_plugins([plugin("tsmtl_test_leaving", "import sys; sys.exit(3)")])
    assert lines(error) == ["plugins: importing 'tsmtl_test_leaving' failed (SystemExit: 3)"]
