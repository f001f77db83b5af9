"""What the command line itself refuses."""

from __future__ import annotations

from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.errors import PinterestAudiencesError

__all__ = ["CommandError", "usage"]


class CommandError(PinterestAudiencesError):
    """Something that the command line itself refuses.

    Attributes:
        code: A word for scripts.
        exit: The exit code.
        hint: What to do.
    """

    def __init__(self, message: str, *, code: str, exit: Exit, hint: str = "") -> None:  # noqa: A002 - as it is called
        super().__init__(message)
        self.code = code
        self.exit = exit
        self.hint = hint


def usage(message: str, hint: str = "") -> CommandError:
    """Return the error of a command line that cannot work.

    Args:
        message: What is wrong with it.
        hint: What to do.
    """
    return CommandError(message, code="usage", exit=Exit.USAGE, hint=hint)
