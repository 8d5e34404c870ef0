"""Which of several settings no other one beats in every score."""

from collections.abc import Mapping, Sequence


def non_dominated(values: Sequence[Mapping[str, float]], higher_is_better: Mapping[str, bool]) -> list[bool]:
    """Say of each point whether no other one is at least as good in every score and better in one.

    Args:
        values: Finite scores of each point by name.
        higher_is_better: Which way, by name of the score.
    """
    rows = [tuple(v[name] if up else -v[name] for name, up in higher_is_better.items()) for v in values]

    def beaten(row: tuple[float, ...]) -> bool:
        return any(other != row and all(a >= b for a, b in zip(other, row, strict=True)) for other in rows)

    return [not beaten(row) for row in rows]
