"""The loop of a training, over epochs and mini-batches; and what it asks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import isnan
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

from tinygrad_edu.nn import Module
from tinygrad_edu.optim import Optimiser, clip_gradients
from tinygrad_edu.support.randomness import generator
from tinygrad_edu.train.batches import BatchFunction, evaluated, order_of, steps
from tinygrad_edu.train.checkpoints import Folder, Training
from tinygrad_edu.train.history import History, shown
from tinygrad_edu.train.interrupts import noticing_ctrl_c
from tinygrad_edu.train.progress import progress as progress_bar
from tinygrad_edu.train.schedules import Schedule, Watch

__all__ = ["accuracy", "evaluate", "fit"]

Metric = Callable[[Any, Any], Any]


def fit(
    model: Callable[[Any], Any],
    loss: Callable[[Any, Any], Any],
    optimiser: Optimiser,
    data: Any,
    epochs: int,
    *,
    batch_size: int = 10,
    shuffle: bool = True,
    rng: Any = None,
    validation: Any = None,
    metrics: Mapping[str, Metric] | None = None,
    schedule: Schedule | None = None,
    clip: float | None = None,
    monitor: str | None = None,
    best: Callable[..., float] = min,
    patience: int | None = None,
    restore_best: bool | None = None,
    callbacks: Sequence[Callable[[History], Any]] = (),
    compile: bool = True,
    progress: bool | Callable[[History], str] = True,
    checkpoint: str | Path | Folder | None = None,
    resume: bool = False,
) -> History:
    """Train a model: an update for each mini-batch, epoch after epoch.

    Parameters
    ----------
    model : Module or one of its methods
        Makes outputs of inputs: ``model``, or ``model.logits``.
    loss : callable
        Makes one number of outputs and targets: ``tg.losses.mse``, or a function of
        your own, which may add a penalty.
    optimiser : Optimiser
        Of the model's parameters.
    data : (x, y), or mini-batches
        Two arrays, one example a row. Or mini-batches ``(x, y)``: a list or anything
        else that can be gone through again for each epoch; or a function that makes
        them for an epoch, given the random generator.
    epochs : int
        How many times to go through the data, in all: also those before a resume.
    batch_size : int
        Examples an update, if the data are two arrays; the last one may have fewer.
    shuffle : bool
        Whether two arrays are shuffled for each epoch.
    rng : Generator, RandomState or int, optional
        What shuffles, or its seed. With a seed, training does the same each time, to
        the last bit, on one machine.
    validation : (x, y), list of mini-batches, or dict of these by name
        What to evaluate on after each epoch. Figures are called ``validation_loss`` and
        so on, or by the names given.
    metrics : dict of str to callable, optional
        Makes a number of all outputs and targets of the validation data, as arrays:
        ``{"accuracy": tg.train.accuracy}``.
    schedule : callable, optional
        Gives the learning rate of the next epoch, or None to end; is told how many
        epochs are done, and the history. There are some in `tg.train.schedules`.
    clip : float, optional
        The norm that all gradients together may have; longer ones are scaled down.
    monitor : str, optional
        The figure by which epochs are compared: by default the first validation loss,
        without validation the loss.
    best : {min, max}
        Which is the best of its values.
    patience : int, optional
        End after so many epochs in which that figure has not improved.
    restore_best : bool, optional
        Whether the model has the weights of the best epoch at the end, and not those of
        the last; by default if `patience` is given.
    callbacks : sequence of callable
        Called after each epoch with the history, to which they may `note` more figures.
        If one returns True, training ends.
    compile : bool
        Whether to run each step as one NumPy program. A step that cannot be compiled
        runs as it is written, and a warning tells why.
    progress : bool or callable
        Whether to print a line an epoch, and show a bar where there is a terminal or a
        notebook. A function makes the line of the history.
    checkpoint : path or Folder, optional
        The folder for checkpoints: written after each epoch, and when Ctrl-C ends the
        training.
    resume : bool
        Whether to go on from the latest one there, if there is one, as if the training
        had never stopped. A warning tells what is given otherwise than it was saved.

    Returns
    -------
    History
        A row of figures for each epoch. ``history.stopped`` says why there are no more.

    Raises
    ------
    ValueError
        If an option, the data or a checkpoint will not do, or another training is at
        work in the folder.

    Notes
    -----
    Ctrl-C ends the training after the running step, with the weights of that moment;
    pressed twice, at once. A loss that is NaN ends it as well: nothing good would
    follow. In the end the model is in evaluation, ready to be used.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> model = tg.nn.MLP([2, 3, 1], rng=0)
    >>> history = tg.train.fit(
    ...     model.logits,
    ...     tg.losses.cross_entropy_with_logits,
    ...     tg.optim.SGD(model.parameters(), lr=2.0, momentum=0.9),
    ...     tg.data.xor(),
    ...     epochs=1000,
    ...     rng=0,
    ...     progress=False,
    ... )
    >>> bool(history["loss"][-1] < 0.01)
    True
    """
    module: Any = getattr(model, "__self__", model)
    keep_best = patience is not None if restore_best is None else restore_best
    folder = checkpoint if isinstance(checkpoint, Folder | None) else Folder(checkpoint)
    sets = validation if isinstance(validation, Mapping) else {"validation": validation}
    sets = {name: examples for name, examples in sets.items() if examples is not None}
    _check_numbers(epochs=epochs, batch_size=batch_size, patience=patience)
    metrics = metrics or {}
    _check_names(sets, metrics)
    _check_kept(module, keep_best, folder, resume)
    monitor = monitor or next((f"{name}_loss" for name in sets), "loss")
    train = BatchFunction(_step(model, loss, optimiser, clip), compile, "training step")
    judge = BatchFunction(_judgement(model, loss), compile, "evaluation")
    order = order_of(data, batch_size, shuffle) if folder else {}
    run = Training(module, optimiser, generator(rng), clip=clip, **order)
    line = progress if callable(progress) else partial(_line, epochs=epochs)

    def get_ready() -> str:
        """Set the learning rate of the next epoch, or say why there is none."""
        if ctrl_c.pressed:
            return f"Ctrl-C, after step {len(run.losses)} of epoch {len(history) + 1}"
        if run.ended:
            return "a callback ended it"
        if len(history) >= epochs:
            return "all epochs are done"
        if history and isnan(history[-1]["loss"]):
            return "the loss is NaN"
        if patience is not None and watch.stalled >= patience:
            return f"{monitor} has not improved for {patience} epochs"
        if schedule is not None:
            rate = schedule(len(history), history)
            if rate is None:
                return "the schedule ended it"
            _set_rate(optimiser, rate)
        return ""

    in_all = 0  # the steps of an epoch; not known before there was one
    with (
        _begun(folder, run, resume),
        progress_bar(bool(progress)) as bar,
        noticing_ctrl_c() as ctrl_c,
    ):
        if run.differences:
            told = "; ".join(run.differences)
            warnings.warn(
                f"fit: the training goes on otherwise than it was saved: {told}",
                stacklevel=2,
            )
        history, watch = run.history, Watch(best)
        _see_again(watch, history, monitor)
        began = len(history)
        while not (why_not := get_ready()):
            start = perf_counter() - run.seconds
            _set_training(module, True)
            every = folder.every if folder else None
            for losses in steps(train, data, run, batch_size, shuffle, every):
                run.losses.extend(losses)
                run.seconds = perf_counter() - start
                bar.move(*_how_far(run, losses, epochs, in_all, monitor))
                if ctrl_c.pressed:
                    break
                if folder and every and len(run.losses) % every == 0:
                    folder.save(run)
            else:  # the epoch is complete
                in_all = len(run.losses)
                figures = {"loss": fmean(run.losses)}
                if schedule is not None:
                    figures["lr"] = optimiser.state_dict()["lr"]
                _set_training(module, False)
                for name, examples in sets.items():
                    for figure, value in evaluated(judge, examples, metrics).items():
                        figures[f"{name}_{figure}"] = value
                run.end_epoch(figures | {"seconds": perf_counter() - start})
                asked = [callback(history) is True for callback in callbacks]
                run.ended = any(asked)
                if watch.see(history[-1][monitor]) and keep_best:
                    run.best = module.state_dict()
                bar.line(line(history))
            if folder is not None:
                folder.save(run)
        history.stopped = why_not
        if len(history) < epochs:
            bar.line(f"ended: {why_not}")
        elif len(history) == began:
            bar.line(f"nothing is left to do: {began} epochs are done, of {epochs}")

    _set_training(module, False)
    if run.best is not None and not ctrl_c.pressed:
        module.load_state_dict(run.best)
    return history


def evaluate(
    model: Callable[[Any], Any],
    loss: Callable[[Any, Any], Any],
    data: Any,
    metrics: Mapping[str, Metric] | None = None,
) -> dict[str, float]:
    """Return the loss and the metrics on data, without training.

    Parameters are as for `fit`. A model is evaluated as by ``model.eval()``.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> model = tg.nn.MLP([2, 3, 1], rng=0)
    >>> judges = {"accuracy": tg.train.accuracy}
    >>> figures = tg.train.evaluate(model, tg.losses.mse, tg.data.xor(), judges)
    >>> figures["accuracy"]
    0.5
    """
    module = getattr(model, "__self__", model)
    was_training = getattr(module, "training", True)
    _set_training(module, False)
    try:
        judge = BatchFunction(_judgement(model, loss), False, "evaluation")
        return evaluated(judge, data, metrics or {})
    finally:
        _set_training(module, was_training)


def accuracy(outputs: Any, targets: Any) -> float:
    """Return how often the largest output is that of the right class.

    Parameters
    ----------
    outputs : array of shape (N, classes), or (N, 1) for a yes or no
        A yes is above 0.5: probabilities, and not logits.
    targets : array of the same shape, or integers of shape (N,)

    Examples
    --------
    >>> import numpy as np
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    if outputs.ndim != 2 or targets.shape not in (outputs.shape, outputs.shape[:1]):
        raise ValueError(
            "accuracy: expected outputs of shape (N, classes), and targets of the same "
            f"shape or of (N,); got {outputs.shape} and {targets.shape}"
        )
    if targets.ndim == 1:
        right = outputs.argmax(axis=1) == targets
    elif outputs.shape[1] == 1:
        right = (outputs > 0.5) == (targets > 0.5)
    else:
        right = outputs.argmax(axis=1) == targets.argmax(axis=1)
    return float(right.mean())


# --- What fit is made of --------------------------------------------------------------


def _step(
    model: Callable[[Any], Any],
    loss: Callable[[Any, Any], Any],
    optimiser: Optimiser,
    clip: float | None,
) -> Callable[[Any, Any], Any]:
    def step(x: Any, y: Any) -> Any:
        cost = loss(model(x), y)
        optimiser.zero_grad()
        cost.backward()
        if clip is not None:
            clip_gradients(optimiser.params, clip)
        optimiser.step()
        return cost

    return step


def _judgement(
    model: Callable[[Any], Any], loss: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    def judge(x: Any, y: Any) -> Any:
        output = model(x)
        return output, loss(output, y)

    return judge


def _check_numbers(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise ValueError(f"fit: {name} is {value}, and must be 1 or more")


def _check_names(sets: Mapping[str, Any], metrics: Mapping[str, Metric]) -> None:
    """Refuse a name now, and not when the first epoch is done."""
    if "loss" in metrics:
        raise ValueError("fit: a metric is called loss, as the loss is; rename it")
    if metrics and not sets:
        raise ValueError(
            "fit: metrics are computed on validation data, and there is none; pass "
            "validation, for the training data validation={'train': data}"
        )
    names = [f"{name}_{figure}" for name in sets for figure in ("loss", *metrics)]
    for name in History(dict.fromkeys(names, ())).names:
        if names.count(name) > 1:
            raise ValueError(
                f"fit: two figures are called {name}; rename a metric or a set of "
                "validation data"
            )


def _check_kept(module: Any, keep_best: bool, folder: Any, resume: bool) -> None:
    if (keep_best or folder) and not isinstance(module, Module):
        raise TypeError(
            f"fit: to keep the weights of a model it must be a Module, or a method of "
            f"one as model.logits is, and not {module!r}"
        )
    if resume and not folder:
        raise ValueError("fit: resume from where? Name a folder: checkpoint='run'")


@contextmanager
def _begun(folder: Folder | None, run: Training, resume: bool) -> Iterator[None]:
    """Take a training up from its folder, if it has one, and keep others out."""
    if folder is None:
        yield
        return
    folder.begin(run, resume)
    try:
        yield
    finally:
        folder.end()


def _see_again(watch: Watch, history: History, monitor: str) -> None:
    """Have a watch see the epochs that are done."""
    if len(history) and monitor not in history.names:
        raise ValueError(
            f"fit: the training that goes on has no {monitor!r} to monitor; it has "
            f"{', '.join(history.names)}"
        )
    for figures in history:
        watch.see(figures[monitor])


def _set_training(module: Any, mode: bool) -> None:
    if isinstance(module, Module):
        module.train(mode)


def _set_rate(optimiser: Any, rate: float) -> None:
    optimiser.lr = float(rate)


def _how_far(
    run: Training, losses: list[float], epochs: int, in_all: int, monitor: str
) -> tuple[float, str]:
    """Return which part of the training is done, and what a bar tells beside it."""
    history = run.history
    done = len(history) + (len(run.losses) / in_all if in_all else 0)
    text = f"epoch {len(history) + 1}/{epochs} loss {shown('loss', fmean(losses))}"
    if monitor in history.names and monitor != "loss":
        figure = shown(monitor, history[-1][monitor])
        text += f" {monitor.replace('_', ' ')} {figure}"
    return done / epochs, text


def _line(history: History, epochs: int) -> str:
    """Write the figures of the latest epoch as a line."""
    row = history[-1]
    seconds = row.pop("seconds")
    figures = [f"{k.replace('_', ' ')} {shown(k, x)}" for k, x in row.items()]
    epoch = f"epoch {len(history):>{len(str(epochs))}}/{epochs}"
    return "  ".join([epoch, *figures, f"{shown('seconds', seconds)} s"])
