"""How all pictures are drawn: colours, fonts, and panels with names."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.axes import Axes
from matplotlib.font_manager import get_font_names

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#718096"
GREEN, RED = "#2f855a", "#c53030"
SERIES = [(colour, line) for line in ("-", "--", ":") for colour in (BLUE, ORANGE, GREEN, RED, GREY)]  # that differ
DPI = 120
FONTS = ["DejaVu Sans", "Noto Sans CJK KR", "NanumGothic", "Malgun Gothic", "AppleGothic", "Noto Sans CJK JP"]
log = logging.getLogger(__name__)


def plain(text: str) -> str:
    """Give a name as text that is drawn as it stands."""
    return text.replace("$", r"\$")  # a dollar sign would begin a formula


def short(text: str, most: int) -> str:
    """Give a name of so many letters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"


@contextmanager
def style() -> Iterator[None]:
    """Draw with a font that has the names' script, where there is one; say once what could not be drawn."""
    fonts = [font for font in FONTS if font in get_font_names()]
    with matplotlib.rc_context({"font.family": fonts}), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # those of other threads come here too
        warnings.filterwarnings("always", category=UserWarning)
        yield
    if caught:
        log.warning("pictures: %s", str(caught[0].message).splitlines()[0])


def dress(ax: Axes, title: str, x: str, y: str, grid: bool = True) -> None:
    """Give a panel its title and the names of its axes, and a grid."""
    ax.set_title(plain(title), fontsize=10)
    ax.set_xlabel(plain(x))
    ax.set_ylabel(plain(y))
    if grid:
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
