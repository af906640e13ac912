"""Mistakes of a user, told from bugs: the command line says the first in one line."""

import re
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any


class UserError(ValueError):
    """Something a user can mend; the message says what was wanted, what came and what to do.

    A plan's field stands between guillemets, ‹low_rank›: Python shows low_rank, the command line
    its own spelling.
    """

    kept: Path | None = None  # the folder of a run that can be resumed

    def __str__(self) -> str:
        return self.spelled(lambda field: field)

    def spelled(self, spelling: Callable[[str], str]) -> str:
        """The message, with every field as `spelling` has it."""
        return re.sub(r"‹(\w+)›", lambda match: spelling(match[1]), super().__str__())


class PlanError(UserError):
    """Fields of a plan that contradict each other, or hold what they cannot."""


class RunsFailed(UserError):  # noqa: N818 - as AlreadyDone: the others are whole
    """Some runs of a study failed; the others are whole, and the study can be gone on with."""

    code = 1  # of the process: 2 is of a mistake that is told before anything runs

    def __init__(self, message: str, failures: Mapping[str, str]) -> None:
        super().__init__(message)
        self.failures = failures  # run: its line


class NearlyDependentWarning(UserWarning):
    """Units depend on each other but for so little that sums do not hold it."""

    of = ""  # whose units, where that is known: a network, or what a stitch makes

    def __init__(self, side: str, share: float) -> None:  # side: "x" or "y"
        self.side, self.share = side, share
        super().__init__(side, share)

    def __str__(self) -> str:
        return nearly_dependent([self])


@contextmanager
def whose_units(**names: str) -> Iterator[None]:
    """Say of units that depend on each other whose they are: `x` those of the first side, `y`.

    What is said further inside stands.
    """
    with warnings.catch_warnings():
        show = warnings.showwarning

        def tell(message: Warning | str, *where: Any, **more: Any) -> None:
            if isinstance(message, NearlyDependentWarning):
                message.of = message.of or names.get(message.side, "")
            show(message, *where, **more)

        warnings.showwarning = tell
        yield


def nearly_dependent(warned: Sequence[NearlyDependentWarning]) -> str:
    """Several such warnings as one: whose units, and the smallest and largest share."""
    names = {"x": "the first representation", "y": "the second representation"}
    whose = " and ".join(dict.fromkeys(one.of or names[one.side] for one in warned))
    shares = dict.fromkeys(f"{share:.0e}" for share in sorted(one.share for one in warned))
    least, *_, most = [*shares] * 2
    span = least if least == most else f"{least} to {most}"
    return (
        f"units of {whose} depend on each other but for {span} of them, which float64 holds to few "
        "digits in sums: what whitens these units (mean_cca, r_squared and their like) or is "
        "solved from them is not exact in their weakest directions; what does neither, such as "
        "CKA, is not touched; leave such units out, or give two matrices to a measure"
    )


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. No Exception, which something might catch to go on.

    (And no KeyboardInterrupt, which Lightning answers by leaving the process with code 1.)
    """

    def __init__(self, signum: int, speaks: bool = True, of_another: bool = False) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum
        self.speaks = speaks  # False: of several processes that stop together, another one tells it
        self.of_another = of_another  # another process was killed, so that this one cannot go on
        self.kept: Path | None = None  # the folder of a run that can be resumed


class AlreadyDone(Exception):  # noqa: N818 - nothing went wrong
    """The run that `--resume` asks for is finished; no mistake, so a script may loop until then."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is finished; there was nothing left to do")
        self.folder = folder


def counted(count: int, noun: str, several: str | None = None) -> str:
    """A number and what is counted, in its singular or plural.

    >>> counted(1, "channel"), counted(2000, "class", "classes")
    ('1 channel', '2,000 classes')
    """
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known ones, or nothing.

    >>> did_you_mean("tiny1", ["tiny10", "lenet"])
    '; did you mean tiny10?'
    >>> did_you_mean("vgg", ["tiny10", "lenet"])
    ''
    """
    # The dashes that all options begin with make none of them near.
    likeness = {
        name: SequenceMatcher(None, name.lstrip("-"), word.lstrip("-")).ratio() for name in known
    }
    # A near hit makes the far ones noise: for --modle, say --model and not --note as well.
    least = max([0.6, *(ratio - 0.15 for ratio in likeness.values())])
    near = [
        name for name in sorted(likeness, key=lambda n: -likeness[n]) if likeness[name] >= least
    ]
    return f"; did you mean {' or '.join(near[:3])}?" if near else ""


class FileError(UserError):
    """A file that is absent, damaged or not what it should be; the message names it."""


class DataError(UserError):
    """Data that is absent, damaged or does not fit; the message says which, where, what to do."""
