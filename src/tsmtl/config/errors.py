"""The one exception for what the user has to mend."""

from collections.abc import Iterable


class UserError(ValueError):
    """Settings or data that cannot be used; ends a command with exit code 2.

    Args:
        lines: One line per problem: where, what must hold, what came, how to mend it.
    """

    def __init__(self, lines: str | Iterable[str]) -> None:
        self.lines = [lines] if isinstance(lines, str) else list(lines)
        super().__init__("\n".join(self.lines))
