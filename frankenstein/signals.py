"""Ctrl-C, SIGTERM, a terminal that is gone: raised at once, or noted until it is time to stop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from frankenstein.errors import Interrupted

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@contextmanager
def signals_raise() -> Iterator[None]:
    """In the block a signal raises Interrupted, so that whoever has something open closes it."""

    def leave(signum: int, frame: Any) -> None:
        raise Interrupted(signum)

    with _answered_by(leave):
        _mask("SIG_UNBLOCK")  # a process that was started in `signals_held` can answer only now
        yield


class Noted:
    """What `listening` heard: the first signal, which waits for a good moment; a second does not.

    Who listens looks at `signum` and stops; what came too late for that raises at the block's end.
    """

    signum: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note a signal in the block.

        Raises:
            Interrupted: at a second signal, or at the end if there was one.
        """
        self.signum = None
        with _answered_by(self._take):
            yield
        if self.signum is not None:
            raise Interrupted(self.signum)

    def _take(self, signum: int, frame: Any) -> None:
        if self.signum is not None:
            raise Interrupted(signum)
        self.signum = signum


@contextmanager
def signals_held() -> Iterator[None]:
    """A process started in the block hears no signal before it can answer, in `signals_raise`."""
    _mask("SIG_BLOCK")
    try:
        yield
    finally:
        _mask("SIG_UNBLOCK")


def _mask(how: str) -> None:
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(getattr(signal, how), SIGNALS)


@contextmanager
def _answered_by(handler: Callable[[int, Any], None]) -> Iterator[None]:
    before = {}
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:
            if signal.getsignal(signum) is not signal.SIG_IGN:  # as under nohup
                before[signum] = signal.signal(signum, handler)
    try:
        yield
    finally:
        for signum, former in before.items():
            signal.signal(signum, former)
