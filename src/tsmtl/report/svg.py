"""Figures as SVG within a page: in the page's colours, light or dark, with ids of their own, always the same bytes."""

import re
from html import escape
from io import StringIO

import matplotlib
from matplotlib.figure import Figure

from tsmtl.report.drawing import BLUE, GREEN, GREY, ORANGE, RED

DPI = 144  # of parts that are drawn as dots
_METADATA = ("Creator", "Date", "Format", "Type")  # that matplotlib would write
_PAGE = {
    "#000000": "currentColor",
    "#ffffff": "var(--paper)",
    "#b0b0b0": "var(--line)",  # the grid
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREY: "var(--grey)",
    GREEN: "var(--green)",
    RED: "var(--red)",
}
_TAG = re.compile(r"<[a-zA-Z/][^<>]*>")
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r"(?<=#)[^\s\")]+(?=[\")])")
_NUMBER = re.compile(r"(\d\.\d{2})\d+")
_FONT = re.compile(r"font: ([^;\"]*?)([\d.]+px) [^;\"]*")


class Pictures:
    """Makes the SVG pictures of one page."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, figure: Figure, says: str, note: str = "") -> str:
        """Give a figure as HTML.

        Args:
            figure: Drawn with the colours of :mod:`tsmtl.report.drawing`; the page's own take their place.
            says: What it shows, with its numbers, for those who cannot see it.
            note: What stands below it.
        """
        self._count += 1
        below = f"<figcaption>{escape(note)}</figcaption>" if note else ""
        return f"<figure>{_inline(figure, f'p{self._count}', says)}{below}</figure>"


def _inline(figure: Figure, name: str, says: str) -> str:
    file = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):  # text stays text, in the page's font
        figure.savefig(file, format="svg", transparent=True, dpi=DPI, metadata=dict.fromkeys(_METADATA))
    text = file.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"\s*<defs>\s*<style.*?</defs>", "", text, count=1, flags=re.DOTALL)  # it would hold for the page
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    used = {found for tag in _TAG.findall(text) for found in _REFERENCE.findall(tag) if not tag.startswith("<image")}
    names = {old: f"{name}-{n}" for n, old in enumerate(sorted(used))}
    text = _TAG.sub(lambda tag: _themed(tag.group(), names), text)
    text = re.sub(r"<g>\s*</g>|\n\s*", lambda found: "" if found.group().startswith("<") else "\n", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(says)}" ', 1)


def _themed(tag: str, names: dict[str, str]) -> str:
    """Give a tag of an SVG file in the page's colours, with short numbers, and with an id only where it is used."""
    if tag.startswith("<image"):
        return _ID.sub("", tag).replace("xlink:href", "href")
    tag = _COLOUR.sub(lambda colour: _PAGE.get(colour.group(), colour.group()), tag)
    tag = _ID.sub(lambda found: f' id="{names[found.group(1)]}"' if found.group(1) in names else "", tag)
    tag = _REFERENCE.sub(lambda found: names.get(found.group(), found.group()), tag)
    tag = _FONT.sub(lambda found: f"font-size: {found.group(2)}", tag)
    if tag.startswith("<svg"):
        return tag
    return _NUMBER.sub(r"\1", tag).replace("xlink:href", "href")
