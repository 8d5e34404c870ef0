"""The order of names: numbers in them count as numbers, 9 before 10."""

import re


def name_order(text: str) -> tuple[list[str | int], str]:
    """Give what sorts a name, part-2 before part-10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", text))], text
