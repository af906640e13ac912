"""How a run ends that a user can mend: one line on stderr and an exit code, no traceback."""

import errno
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from frankenstein.errors import (
    Interrupted,
    NearlyDependentWarning,
    PlanError,
    UserError,
    nearly_dependent,
)
from frankenstein.records import shown

MISTAKE = 2  # as argparse
_PACKAGE, _FOLDER = __name__.partition(".")[0], Path(__file__).parents[1]
# Of the system: what a user's paths and disks do not allow.
_REFUSED = {
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC),
    *(errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
}
_NO_MEMORY = re.compile("can't allocate memory|out of memory", re.IGNORECASE)  # of torch
_NOTHING = "; there was nothing to keep yet"
INTERRUPTED = 128  # as a shell: plus the signal's number


class UsageError(UserError):
    """A command line or YAML file that does not say what a verb can do."""


@dataclass
class Outcome:
    """The exit code of what ran inside `one_line`."""

    code: int = 0
    # The command line that goes on with an interrupted run, which has kept this folder.
    again: Callable[[Path], str] | None = None
    folder: Path | None = None  # of the run that was made
    spelling: Callable[[str], str] = str  # how messages name a plan's fields


@contextmanager
def one_line(name: str, program: str) -> Iterator[Outcome]:
    """Turn mistakes and signals into one line and a code; bugs go on as tracebacks."""
    outcome = Outcome()
    try:
        yield outcome
    except (UsageError, PlanError) as error:
        text = f"{name}: {error.spelled(outcome.spelling)}; see {program} --help"
        say(text.replace("?; see", "? See"))
        outcome.code = MISTAKE
    except UserError as error:
        traceback.clear_frames(error.__traceback__)
        more = ""
        if outcome.again and error.kept:
            more = f"; then go on with: {outcome.again(error.kept)}"
        say(f"{name}: {error.spelled(outcome.spelling)}{more}")
        outcome.code = getattr(error, "code", MISTAKE)
    except (ImportError, AttributeError, OSError, MemoryError, RuntimeError) as error:
        told = _of_the_machine(error)
        if library := _half_installed(error):
            told = (
                f"{library} is installed in part and cannot be imported ({error}), which "
                "torchmetrics tries; install it anew, or take it away"
            )
        if told is None:
            raise
        say(f"{name}: {told}")
        outcome.code = MISTAKE
    except (Interrupted, KeyboardInterrupt) as error:
        traceback.clear_frames(error.__traceback__)  # ends progress bars, so that this comes last
        hint = ""
        if outcome.again:
            kept = getattr(error, "kept", None)
            hint = f"; go on with: {outcome.again(kept)}" if kept else _NOTHING
        alone = getattr(error, "of_another", False)
        told = f"another process of this run was ended by {error}" if alone else "interrupted"
        say(f"{name}: {told}{hint}", alone)
        outcome.code = INTERRUPTED + getattr(error, "signum", signal.SIGINT)
        if not getattr(error, "speaks", True):
            outcome.code = 0  # by any other, Lightning kills the process that has still to tell it


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Warnings of this package are one line on stderr, once, without places in its code.

    Of units that depend on each other the last line is one for all steps of a study.
    """
    told: set[str] = set()  # by a step of a study, say
    dependent: list[NearlyDependentWarning] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def tell(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if isinstance(message, NearlyDependentWarning):
                dependent.append(message)
            elif (
                category.__module__.startswith(f"{_PACKAGE}.") or _FOLDER in Path(filename).parents
            ):
                text = f"warning: {message}"
                if text not in told:
                    told.add(text)
                    say(text)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = tell
        try:
            yield
        finally:
            if dependent:
                say(f"warning: {nearly_dependent(dependent)}")


def _half_installed(error: BaseException) -> str | None:
    """The optional library in whose own import an error was raised, if it was in one."""
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not (isinstance(error, ImportError) or "Failed to import" in str(error)):
        codes = [code for code in codes if code.co_name == "<module>"]  # what is being imported
    folders = {part for code in codes for part in Path(code.co_filename).parts}
    return next((one for one in ("transformers", "timm") if one in folders), None)


def _of_the_machine(error: BaseException) -> str | None:
    """What a path, a disk or a memory does not allow, in words; None of what may be a bug."""
    if isinstance(error, OSError):
        where = f" ({shown(error.filename)})" if error.filename else ""
        return f"{error.strerror}{where}" if error.errno in _REFUSED else None
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        size = re.search(r"allocate ([\d.]+ \w+)", str(error))
        wanted = f", for {size[1]} were asked for at once" if size else ""
        return f"there is not enough memory{wanted}; take a smaller network, fewer images or layers"
    return None


def say(text: str, alone: bool = False) -> None:
    """One line on stderr, of the first of several processes, or of the one that is left."""
    if os.environ.get("LOCAL_RANK", "0") != "0" and not alone:
        return  # one process of several speaks for all
    sys.stderr.write(" ".join(text.split()) + "\n")
