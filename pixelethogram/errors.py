"""Errors that say what · where · why likely · do this, and the exit code each one means."""

from __future__ import annotations

import errno
import re


class PixelethogramError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback.

    Args:
        what: What is wrong, with the offending value.
        where: File, line, video or setting it was found in.
        why: The likely cause, when it can be told.
        do: The next thing to do, an instruction or a command.

    Example:
        >>> print(InputError("12 rows, the video has 10", where="labels.csv", do="re-export"))
        12 rows, the video has 10
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


SHORTAGES = {
    errno.ENOSPC: ("the disk is full", "make room"),
    errno.EDQUOT: ("your share of the disk is used up", "make room"),
    errno.EFBIG: ("the file is larger than this disk allows", "use another disk"),
    errno.EROFS: ("this disk can only be read", "use another folder"),
    errno.EACCES: ("no permission", "ask for it, or use another folder"),
    errno.EPERM: ("no permission", "ask for it, or use another folder"),
    errno.EIO: ("the disk or the network drive does not answer", "check it"),
    errno.EMFILE: ("too many open files", "raise the limit (ulimit -n), or set workers to 0"),
}


def explain_shortage(error: BaseException) -> ResourceError | None:
    """What the machine lacks, in words; None for an error of another kind.

    Example:
        >>> print(explain_shortage(OSError(errno.ENOSPC, "No space left", "a.h5")))
        the disk is full
          where: a.h5
          do:    make room, then run the same command again; what is finished is kept
    """
    number = _error_number(error)
    if number in SHORTAGES:
        what, do = SHORTAGES[number]
    elif isinstance(error, MemoryError):
        what, do = "not enough memory", "close other programs, or use smaller frames or batches"
    elif type(error).__name__ == "OutOfMemoryError":  # of torch, which is not imported here
        what, do = "not enough memory on the GPU", "use smaller batches or frames, or --device cpu"
    else:
        return None
    return ResourceError(
        what,
        where=getattr(error, "filename", None),
        do=f"{do}, then run the same command again; what is finished is kept",
    )


def _error_number(error: BaseException) -> int:
    """What the operating system said; HDF5 has it in its text only when a file is closed."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = re.search(r"errno = (\d+)", str(error))
    return int(found[1]) if found else 0
