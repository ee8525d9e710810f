"""Ctrl-C is noticed, and obeyed at once only when it is pressed again."""

import signal
import threading

import pytest

from tinygrad_edu.train.interrupts import noticing_ctrl_c

usual = signal.default_int_handler
pytestmark = pytest.mark.usefixtures("usual_ctrl_c")


def test_the_first_is_noticed_and_the_second_obeyed():
    with noticing_ctrl_c() as ctrl_c:
        assert not ctrl_c.pressed
        signal.raise_signal(signal.SIGINT)
        assert ctrl_c.pressed
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_it_has_its_usual_effect_afterwards():
    with pytest.raises(ZeroDivisionError), noticing_ctrl_c():
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_handler_of_the_users_is_left_alone():
    heard = []
    own = signal.signal(signal.SIGINT, lambda *args: heard.append(args))
    try:
        with noticing_ctrl_c() as ctrl_c:
            signal.raise_signal(signal.SIGINT)
            assert not ctrl_c.pressed
        assert len(heard) == 1
    finally:
        signal.signal(signal.SIGINT, own)


def test_other_threads_have_no_ctrl_c():
    seen = []

    def work():
        with noticing_ctrl_c() as ctrl_c:
            seen.append((ctrl_c.pressed, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, usual)]
