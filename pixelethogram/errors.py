"""Errors that tell the user what · where · why likely · do this, and the exit code each one means."""

from __future__ import annotations


class PixelethogramError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback.

    Args:
        what: What is wrong, with the offending value.
        where: File, line, video or setting it was found in.
        why: The likely cause, when it can be told.
        do: The next thing to do, an instruction or a command.

    Example:
        >>> print(InputError("12 rows, but the video has 10 frames", where="labels.csv", do="re-export"))
        12 rows, but the video has 10 frames
          where: labels.csv
          do:    re-export
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: object = None, why: str | None = None, do: str | None = None
    ) -> None:
        self.what, self.where, self.why, self.do = what, where, why, do
        lines = [what]
        lines += [f"  where: {where}"] if where is not None else []
        lines += [f"  why:   {why}"] if why else []
        lines += [f"  do:    {do}"] if do else []
        super().__init__("\n".join(lines))


class UsageError(PixelethogramError):
    """Wrong arguments or settings (exit code 2)."""

    exit_code = 2


class InputError(PixelethogramError):
    """A problem with the user's data: videos, labels, projects (exit code 3)."""

    exit_code = 3


class ResourceError(PixelethogramError):
    """Not enough disk, memory or network (exit code 4)."""

    exit_code = 4
