"""How is a program stopped? Once, in order, and never in the middle of starting another.

Ctrl-C goes to every process of a terminal, also to one that is only starting and does not yet know what to do with it;
SIGTERM, of a service manager, goes to one alone.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOPS = (signal.SIGINT, signal.SIGTERM)
_mask = getattr(signal, "pthread_sigmask", lambda how, signals: ())  # Windows holds no signal back
_BLOCK, _UNBLOCK, _SET = (getattr(signal, f"SIG_{how}", 0) for how in ("BLOCK", "UNBLOCK", "SETMASK"))


@contextmanager
def stoppable() -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end what is inside by KeyboardInterrupt; more of them do not disturb its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        for number in STOPS:
            signal.signal(number, _once_more)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in STOPS if _is_heard(number)}
    try:
        _mask(_UNBLOCK, STOPS)  # what `starting` held back in this process
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)


@contextmanager
def starting(*held: signal.Signals) -> Iterator[None]:
    """Start a process whole: a stop of this one counts only afterwards.

    Parameters
    ----------
    *held : Signals
        What the new process does not hear until it lets them through, with `stoppable` or `deaf_to_interrupts`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {n: signal.signal(n, lambda number, _: came.append(number)) for n in STOPS if _is_heard(n)}
    mask = _mask(_BLOCK, held)
    try:
        yield
    finally:
        _mask(_SET, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def deaf_to_interrupts() -> None:
    """Leave Ctrl-C to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _mask(_UNBLOCK, STOPS)


def _once_more(*_: Any) -> None:
    """Do nothing. SIG_IGN would make Python complain of a signal that came just before it was set."""


def _is_heard(number: int) -> bool:
    return signal.getsignal(number) not in (signal.SIG_IGN, _once_more, None)
