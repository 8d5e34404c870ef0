"""What is in a page, read by a parser of HTML."""

import re
from html.parser import HTMLParser
from pathlib import Path

FETCHES = re.compile(r"""(src|href)="(?!data:|#)|url\((?!#)|@import""")  # a page that matches is not whole by itself


class Page(HTMLParser):
    """Tables of a page as lists of cells; fails where tags do not close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tables, self.cell, self.tags, self.ids, self.says = [], [], None, set(), [], []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        self.says += [value for name, value in attributes if name == "aria-label"]
        if tag in ("meta", "img"):
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = ""

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in ("meta", "img"):
            self.handle_endtag(tag)

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.tables[-1][-1].append(self.cell)
            self.cell = None


def read_page(path: Path) -> Page:
    """Read a page; fails where its tags do not close, it would fetch anything, or two things share an id."""
    text = path.read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert not FETCHES.search(text)
    assert len(page.ids) == len(set(page.ids))
    return page
