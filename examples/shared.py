"""Helpers of the examples: options that are checked early, and clear error messages.

Import it before NumPy, which takes a moment to load. After this import, Ctrl-C ends a
program with one line, and a closed pipe (`| head`) ends it without a message.
"""

import atexit
import os
import sys
from argparse import ArgumentTypeError
from contextlib import contextmanager
from math import inf, isfinite, nan
from pathlib import Path

# A second BLAS thread hardly speeds up such small products. If another program is busy,
# it makes training up to 3 times slower. NumPy reads this variable on import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

PICTURES = ".png", ".svg", ".pdf", ".jpg"
TABLES = ".json", ".csv"

# --- Ends -----------------------------------------------------------------------------


def _end(kind, error, traceback):
    """End the program with one line, or with a traceback if the program has a bug."""
    if issubclass(kind, KeyboardInterrupt):
        print("ended by Ctrl-C", file=sys.stderr)
        sys.exit(130)  # 128 + SIGINT, the usual status
    if issubclass(kind, BrokenPipeError):
        sys.exit(141)  # 128 + SIGPIPE: the reader has closed the pipe
    if issubclass(kind, MemoryError):
        sys.exit(f"There is not enough memory: {error}")
    _usual(kind, error, traceback)


def _flush():
    """Write the buffered output, unless the reader has closed the pipe."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_usual, sys.excepthook = sys.excepthook, _end
atexit.register(_flush)

import numpy as np  # noqa: E402


def run(main):
    """Run a program without NumPy's overflow warnings; `remark` reports overflow."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        main()


def end_of(history):
    """Exit with an error status if the training was stopped or has diverged."""
    if history.stopped.startswith("Ctrl-C"):
        sys.exit(130)
    if not isfinite(history[-1]["loss"]):
        sys.exit(1)


@contextmanager
def extras(packages='-e ".[examples]"'):
    """Import optional packages, or exit with the command that installs them."""
    try:
        yield
    except ImportError as error:
        sys.exit(f"{error}; it comes with pip install {packages}")


@contextmanager
def telling_faults():
    """Exit with one line if a file, an option or an installed package is wrong."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")


@contextmanager
def writing(path):
    """Print that a file was written, or exit with the reason why it cannot be."""
    try:
        yield
    except OSError as error:
        reason = f"{path} cannot be written: {error.strerror}"
        sys.exit(reason if error.strerror else str(error))
    print(f"Wrote {path}")


# --- What a network has learnt --------------------------------------------------------


def idle_loss(loss, targets):
    """Return the loss of the best constant output, which ignores the inputs.

    This output is the mean of the targets. The loss must take probabilities.
    """
    mean = targets.mean(axis=0, keepdims=True, dtype=float)
    return float(loss(np.broadcast_to(mean, targets.shape), targets))


def remark(loss, idle, lr, usual):
    """Say what is wrong if a network has learnt nothing, and how to fix it.

    Parameters
    ----------
    loss, idle : float
        Loss of the network, and the loss that `idle_loss` returns.
    lr, usual : float
        Chosen learning rate, and the default.

    Returns
    -------
    str
        Message, or "" if the loss is below `idle`.
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
    """Return an argparse type: an int or a finite float that is at least `least`."""

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
    """Return an argparse type: a path of a file that can be written.

    So a wrong path fails at the start, not after an hour of training.
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
    """Return the path of an output folder, as an argparse type.

    The folder may not exist yet, but its parent must exist.
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
