"""The training loop, over epochs and mini-batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
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
from tinygrad_edu.train.history import History
from tinygrad_edu.train.interrupts import noticing_ctrl_c
from tinygrad_edu.train.progress import EpochReport
from tinygrad_edu.train.progress import progress as progress_bar
from tinygrad_edu.train.schedules import Schedule, Watch

__all__ = ["accuracy", "evaluate", "fit"]

Model = Callable[[Any], Any]
Metric = Callable[[Any, Any], Any]  # of outputs and targets; so is a loss


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
    """Train a model: one update for each mini-batch, in each epoch.

    Parameters
    ----------
    model : Module or one of its methods
        Computes outputs from inputs: ``model``, or ``model.logits``.
    loss : callable
        Computes one number from outputs and targets: ``tg.losses.mse``, or a function
        of your own, which may add a penalty.
    optimiser : Optimiser
        The optimiser of the model's parameters.
    data : (x, y), or mini-batches
        Two arrays, with an example in each row. Or mini-batches ``(x, y)``: a list, or
        any other iterable that can be used again in each epoch. Or a function that
        makes the mini-batches of an epoch from the random generator.
    epochs : int
        How many times to go through the data, including the epochs before a resume.
    batch_size : int
        The examples in a mini-batch, if the data are two arrays; the last mini-batch
        may have fewer.
    shuffle : bool
        Whether to shuffle two arrays for each epoch.
    rng : Generator, RandomState or int, optional
        The generator that shuffles, or a seed. With a seed, each run on the same
        machine gives the same result, to the last bit.
    validation : (x, y), list of mini-batches, or dict of these by name
        The data to evaluate on after each epoch. The figures are called
        ``validation_loss`` and so on; the keys of a dict replace ``validation``.
    metrics : dict of str to callable, optional
        Functions of all outputs and targets of the validation data, as arrays, each of
        which returns a number: ``{"accuracy": tg.train.accuracy}``.
    schedule : callable, optional
        Returns the learning rate of the next epoch, or None to end. Its arguments are
        the number of finished epochs and the history. See `tg.train.schedules`.
    clip : float, optional
        The largest allowed norm of all gradients together; longer ones are scaled down.
    monitor : str, optional
        The figure that compares epochs. The default is the first validation loss;
        without validation, the training loss.
    best : {min, max}
        Whether the smallest or the largest value of that figure is the best.
    patience : int, optional
        End if that figure has not improved for this many epochs.
    restore_best : bool, optional
        Whether the model has the weights of the best epoch at the end, instead of the
        last one's. The default is True if `patience` is given.
    callbacks : sequence of callable
        Called with the history after each epoch; they may `note` more figures in it. If
        one returns True, training ends.
    compile : bool
        Whether to run each step as one NumPy program. If a step cannot be compiled, it
        runs as it is written, and a warning says why.
    progress : bool or callable
        Whether to print lines, and to show a bar in a terminal or notebook. Up to 20
        epochs have a line each; of more, the first, the last, and at most 20 between
        them. A function makes a line from the history, after each epoch.
    checkpoint : path or Folder, optional
        The folder for checkpoints. One is written after each epoch, and when Ctrl-C
        ends training.
    resume : bool
        Whether to continue from the latest checkpoint in the folder, if there is one,
        as if training had never stopped. A warning lists settings that have changed.

    Returns
    -------
    History
        A row of figures for each epoch. ``history.stopped`` says why training ended.

    Raises
    ------
    ValueError
        If an option, the data or a checkpoint is not valid, or if another training is
        using the folder.

    Notes
    -----
    Ctrl-C ends training after the running step, with the weights of that moment;
    pressed twice, it interrupts at once. A loss that is NaN ends training as well,
    because it would stay NaN. At the end, the model is in evaluation mode.

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
    metrics = _checked_metrics("fit", metrics)
    _check_names(sets, metrics)
    _check_saving(module, keep_best, folder, resume)
    monitor = monitor or next((f"{name}_loss" for name in sets), "loss")
    train = BatchFunction(_step(model, loss, optimiser, clip), compile, "training step")
    evaluation = BatchFunction(_evaluation(model, loss), compile, "evaluation")
    order = order_of(data, batch_size, shuffle) if folder else {}
    run = Training(module, optimiser, generator(rng), clip=clip, **order)

    def reason_to_end() -> str:
        """Say why there is no next epoch; or set its learning rate, and return ""."""
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
            setattr(optimiser, "lr", float(rate))  # noqa: B010, for mypy
        return ""

    with ExitStack() as stack:
        if folder is not None:
            folder.begin(run, resume)
            stack.callback(folder.end)
        bar = stack.enter_context(progress_bar(bool(progress)))
        ctrl_c = stack.enter_context(noticing_ctrl_c())
        if run.differences:
            changes = "; ".join(run.differences)
            warnings.warn(
                f"fit: the settings differ from those of the checkpoint: {changes}",
                stacklevel=2,
            )
        history, watch = run.history, Watch(best)
        _replay(watch, history, monitor)
        report = EpochReport(bar, history, epochs, monitor, progress)
        while not (reason := reason_to_end()):
            start = perf_counter() - run.seconds
            _set_training(module, True)
            every = folder.every if folder else None
            for losses in steps(train, data, run, batch_size, shuffle, every):
                run.losses.extend(losses)
                run.seconds = perf_counter() - start
                report.after_steps(len(run.losses), fmean(losses))
                if ctrl_c.pressed:
                    break
                if folder and every and len(run.losses) % every == 0:
                    folder.save(run)
            else:  # the epoch is complete
                report.steps_per_epoch = len(run.losses)
                figures = {"loss": fmean(run.losses)}
                if schedule is not None:
                    figures["lr"] = optimiser.state_dict()["lr"]
                _set_training(module, False)
                for name, examples in sets.items():
                    found = evaluated(evaluation, examples, metrics)
                    figures |= {f"{name}_{metric}": x for metric, x in found.items()}
                run.end_epoch(figures | {"seconds": perf_counter() - start})
                answers = [callback(history) is True for callback in callbacks]
                run.ended = any(answers)
                if watch.see(history[-1][monitor]) and keep_best:
                    run.best = module.state_dict()
                report.after_epoch()
            if folder is not None:
                folder.save(run)
        history.stopped = reason
        report.end()

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

    The parameters are those of `fit`. The model is in evaluation mode meanwhile.

    Examples
    --------
    >>> import tinygrad_edu as tg
    >>> model = tg.nn.MLP([2, 3, 1], rng=0)
    >>> judges = {"accuracy": tg.train.accuracy}
    >>> figures = tg.train.evaluate(model, tg.losses.mse, tg.data.xor(), judges)
    >>> figures["accuracy"]
    0.5
    """
    metrics = _checked_metrics("evaluate", metrics)
    module = getattr(model, "__self__", model)
    was_training = getattr(module, "training", True)
    _set_training(module, False)
    try:
        evaluation = BatchFunction(_evaluation(model, loss), False, "evaluation")
        return evaluated(evaluation, data, metrics)
    finally:
        _set_training(module, was_training)


def accuracy(outputs: Any, targets: Any) -> float:
    """Return the share of examples for which the right class has the largest output.

    Parameters
    ----------
    outputs : array of shape (N, classes), or (N, 1) for a yes or no
        With one column, an output above 0.5 means yes; so pass probabilities, not
        logits.
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


# --- Parts of fit ---------------------------------------------------------------------


def _step(model: Model, loss: Metric, optimiser: Optimiser, clip: float | None) -> Any:
    def step(x: Any, y: Any) -> Any:
        cost = loss(model(x), y)
        optimiser.zero_grad()
        cost.backward()
        if clip is not None:
            clip_gradients(optimiser.params, clip)
        optimiser.step()
        return cost

    return step


def _evaluation(model: Model, loss: Metric) -> Callable[[Any, Any], Any]:
    def evaluation(x: Any, y: Any) -> Any:
        output = model(x)
        return output, loss(output, y)

    return evaluation


def _check_numbers(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise ValueError(f"fit: {name} must be 1 or more, not {value}")


def _checked_metrics(who: str, metrics: Any) -> Mapping[str, Metric]:
    if not isinstance(metrics, Mapping | None):
        raise TypeError(
            f"{who}: metrics must be a dict of functions by name, such as "
            f"{{'accuracy': tg.train.accuracy}}, not {metrics!r:.80}"
        )
    return metrics or {}


def _check_names(sets: Mapping[str, Any], metrics: Mapping[str, Metric]) -> None:
    """Refuse wrong names before the first epoch, not after it."""
    if "loss" in metrics:
        raise ValueError(
            "fit: a metric is called loss, as the loss itself is; rename it"
        )
    if metrics and not sets:
        raise ValueError(
            "fit: metrics need validation data, and there is none; pass validation, or "
            "use the training data: validation={'train': data}"
        )
    names = [f"{name}_{figure}" for name in sets for figure in ("loss", *metrics)]
    for name in History(dict.fromkeys(names, ())).names:
        if names.count(name) > 1:
            raise ValueError(
                f"fit: two figures have the name {name}; rename a metric or a "
                "validation set"
            )


def _check_saving(module: Any, keep_best: bool, folder: Any, resume: bool) -> None:
    if (keep_best or folder) and not isinstance(module, Module):
        raise TypeError(
            f"fit: to save weights, the model must be a Module, or a Module's method "
            f"such as model.logits, not {module!r}"
        )
    if resume and not folder:
        raise ValueError("fit: resume=True needs a folder: pass checkpoint='run'")


def _replay(watch: Watch, history: History, monitor: str) -> None:
    """Show the finished epochs to a watch."""
    if len(history) and monitor not in history.names:
        raise ValueError(
            f"fit: the resumed training has no figure {monitor!r} to monitor, only "
            f"{', '.join(history.names)}"
        )
    for figures in history:
        watch.see(figures[monitor])


def _set_training(module: Any, mode: bool) -> None:
    if isinstance(module, Module):
        module.train(mode)
