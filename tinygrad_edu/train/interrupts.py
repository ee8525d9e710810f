"""Note that Ctrl-C was pressed, so that the running step can finish first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["CtrlC", "noticing_ctrl_c"]


class CtrlC:
    """Notes whether Ctrl-C was pressed; the second time, it interrupts as usual."""

    pressed = False

    def __call__(self, number: int, frame: Any) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True


@contextmanager
def noticing_ctrl_c() -> Iterator[CtrlC]:
    """Note Ctrl-C within the block, instead of interrupting.

    This works only in the main thread, and only if Ctrl-C has its usual effect: a
    handler of the user's own is kept.
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
