"""How a run ends that a user can mend: one line on stderr and an exit code, no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from frankenstein.errors import UserError

MISTAKE = 2  # as argparse
INTERRUPTED = 130  # as a shell: 128 + SIGINT


class UsageError(UserError):
    """A command line or YAML file that does not say what a verb can do."""


@dataclass
class Outcome:
    """The exit code of what ran inside `one_line`."""

    code: int = 0


@contextmanager
def one_line(name: str, program: str) -> Iterator[Outcome]:
    """Turn mistakes and Ctrl-C into one line and a code; bugs go on as tracebacks."""
    outcome = Outcome()
    try:
        yield outcome
    except UsageError as error:
        _say(f"{name}: {error}; see {program} --help".replace("?; see", "? See"))
        outcome.code = MISTAKE
    except UserError as error:
        _say(f"{name}: {error}")
        outcome.code = MISTAKE
    except KeyboardInterrupt:
        _say(f"{name}: interrupted")
        outcome.code = INTERRUPTED


def _say(text: str) -> None:
    sys.stderr.write(" ".join(text.split()) + "\n")
