import contextlib
import os
import signal
import time

import pytest

from frankenstein.errors import Interrupted
from frankenstein.signals import SIGNALS, Noted, signals_held, signals_raise

# Said by Python 3.12 and newer; a child here is one thread, which ends by os._exit.
pytestmark = [
    pytest.mark.forks,
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _heard():
    """Where the tests run in a shell's background, or under nohup, SIGINT is ignored from birth."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def strike(signum):
    os.kill(os.getpid(), signum)


def strike_while_listening(noted, *signums):
    """What was noted behind each signal."""
    seen = []
    with contextlib.suppress(Interrupted), noted.listening():
        for signum in signums:
            strike(signum)
            seen.append(noted.signum)
        seen.append("end")
    return seen


def test_a_signal_is_noted_and_the_block_goes_on_but_a_second_does_not_wait():
    assert strike_while_listening(Noted(), signal.SIGINT) == [signal.SIGINT, "end"]
    assert strike_while_listening(Noted(), signal.SIGINT, signal.SIGTERM) == [signal.SIGINT]


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_that_nobody_looked_at_raises_at_the_end(signum):
    signal.signal(signum, signal.SIG_DFL)  # whatever started the tests may have it ignored
    before = signal.getsignal(signum)
    with pytest.raises(Interrupted, match=signal.Signals(signum).name), Noted().listening():
        strike(signum)
    assert signal.getsignal(signum) is before


def test_one_who_listens_again_has_heard_nothing():
    noted = Noted()
    with pytest.raises(Interrupted), noted.listening():
        strike(signal.SIGINT)
    with noted.listening():
        assert noted.signum is None


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with signals_raise(), Noted().listening():
        strike(signal.SIGINT)


def test_what_starts_while_signals_are_held_hears_them_once_it_can_answer():
    with signals_held():
        child = os.fork()
        if child == 0:
            try:
                time.sleep(0.2)  # the signal comes, and waits
                with signals_raise():
                    os._exit(1)
            except Interrupted as error:
                os._exit(128 + error.signum)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 143
