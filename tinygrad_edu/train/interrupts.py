"""Ctrl-C, noticed and not obeyed at once: what is under way is brought to its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["CtrlC", "noticing_ctrl_c"]


class CtrlC:
    """Whether Ctrl-C was pressed; the second time it has its usual effect."""

    pressed = False

    def __call__(self, number: int, frame: Any) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True


@contextmanager
def noticing_ctrl_c() -> Iterator[CtrlC]:
    """Take note of Ctrl-C within the block.

    Only the main thread can; and where Ctrl-C has no effect, or one of the user's own,
    that is left to it.

    >>> with noticing_ctrl_c() as ctrl_c:
    ...     signal.raise_signal(signal.SIGINT)
    ...     ctrl_c.pressed
    True
    """
    ctrl_c = CtrlC()
    in_main_thread = threading.current_thread() is threading.main_thread()
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not (in_main_thread and usual):
        yield ctrl_c
        return
    signal.signal(signal.SIGINT, ctrl_c)
    try:
        yield ctrl_c
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
