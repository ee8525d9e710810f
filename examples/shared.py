"""What the examples share: options that are checked at once, and ends in plain words.

Import it before NumPy, which takes a moment to load: from here on Ctrl-C ends a program
with a line, and `head` without one.
"""

import atexit
import os
import sys
from argparse import ArgumentTypeError
from contextlib import contextmanager
from math import inf, isfinite, nan
from pathlib import Path

# Products this small gain next to nothing from a second BLAS thread, which next to
# another busy program makes training up to 3 times slower. NumPy reads it on import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

PICTURES = ".png", ".svg", ".pdf", ".jpg"
TABLES = ".json", ".csv"

# --- Ends -----------------------------------------------------------------------------


def _end(kind, error, traceback):
    """End the program: in plain words, unless it is a fault of the program."""
    if issubclass(kind, KeyboardInterrupt):
        print("ended by Ctrl-C", file=sys.stderr)
        sys.exit(130)  # 128 + SIGINT, as of other programs
    if issubclass(kind, BrokenPipeError):
        sys.exit(141)  # 128 + SIGPIPE; nobody reads on
    if issubclass(kind, MemoryError):
        sys.exit(f"There is not enough memory: {error}")
    _usual(kind, error, traceback)


def _flush():
    """Write what is still to be printed, unless nobody reads it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_usual, sys.excepthook = sys.excepthook, _end
atexit.register(_flush)

import numpy as np  # noqa: E402


def run(main):
    """Run a program; `remark` tells of what overflows, and so NumPy does not."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        main()


def end_of(history):
    """Exit, with a status that tells why, if a training was stopped or has diverged."""
    if history.stopped.startswith("Ctrl-C"):
        sys.exit(130)
    if not isfinite(history[-1]["loss"]):
        sys.exit(1)


@contextmanager
def extras():
    """Import what comes with an extra, or end with the command that installs it."""
    try:
        yield
    except ImportError as error:
        sys.exit(f'{error}; it comes with pip install -e ".[examples]"')


@contextmanager
def telling_faults():
    """End with a line if a file, an option or what is installed will not do."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")


@contextmanager
def writing(path):
    """Say that a file was written, or end with the reason why it cannot be."""
    try:
        yield
    except OSError as error:
        reason = f"{path} cannot be written: {error.strerror}"
        sys.exit(reason if error.strerror else str(error))
    print(f"Wrote {path}")


# --- What a network has learnt --------------------------------------------------------


def idle_loss(loss, targets):
    """Return the loss of the best guess for those who do not look at the inputs.

    That is the mean of the targets, whatever the example. The loss is one of outputs
    that are probabilities.
    """
    mean = targets.mean(axis=0, keepdims=True, dtype=float)
    return float(loss(np.broadcast_to(mean, targets.shape), targets))


def remark(loss, idle, lr, usual):
    """Tell what is wrong with a network that has learnt nothing, and the way out.

    Parameters
    ----------
    loss, idle : float
        That of the network, and that of `idle_loss`.
    lr, usual : float
        The learning rate that was chosen, and the default.

    Returns
    -------
    str
        "" if the loss is below that of an idle network.
    """
    if loss < idle:
        return ""
    fault = f"The loss is {loss:.4g}"
    if isfinite(loss):
        fault += f"; one and the same answer to all examples would have {idle:.4g}"
    if lr > usual:
        return f"{fault}: --lr {lr:g} is too large; try {usual:g}"
    if not isfinite(loss):
        return f"{fault}: try a smaller --lr than {lr:g}"
    larger = ", a larger --lr" * (lr < usual)
    return f"{fault}: try more --epochs{larger}, or another --seed"


# --- Options --------------------------------------------------------------------------


def number(kind, least):
    """Return what takes an option's value: an int or a finite float, not below least.

    Give it to argparse as the type.
    """

    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = nan
        if not least <= value < inf:
            what = {int: "a whole", float: "a finite"}[kind]
            raise ArgumentTypeError(f"{text} is not {what} number of at least {least}")
        return value

    return read


def output(*suffixes):
    """Return what takes an option's value: a file that can be written.

    It is known now what would fail otherwise after an hour of training.
    """

    def read(text):
        path = Path(text)
        if path.is_dir():
            raise ArgumentTypeError(f"{path} is a folder; name a file")
        _check_folder(path.parent)
        if path.suffix not in suffixes:
            raise ArgumentTypeError(f"{path} does not end in {' or '.join(suffixes)}")
        if path.exists() and not os.access(path, os.W_OK):
            raise ArgumentTypeError(f"{path} must not be overwritten")
        return path

    return read


def output_folder(text):
    """Take an option's value: a folder to write into, which may yet have to be made.

    What is above it is there, or the name is a slip.
    """
    folder = Path(text)
    _check_folder(folder if folder.exists() else folder.parent)
    return folder


def _check_folder(folder):
    if not folder.is_dir():
        raise ArgumentTypeError(f"there is no folder {folder}")
    import tempfile

    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = error.strerror or error
        raise ArgumentTypeError(f"{folder} cannot be written to: {reason}") from None
