"""Go through the mini-batches of an epoch: run the training steps, or evaluate."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from time import perf_counter
from typing import Any
from zlib import crc32

import numpy as np

from tinygrad_edu.compiler import compile
from tinygrad_edu.engine.graph import no_grad, value_of
from tinygrad_edu.train.checkpoints import Training

__all__ = ["BatchFunction", "as_arrays", "evaluated", "order_of", "steps"]

Array = np.ndarray[Any, Any]

TICK = 0.05  # seconds after which the caller gets the losses so far
CHUNK = 1000  # examples to evaluate at a time; their results fit the cache


class BatchFunction:
    """A function of inputs and targets; it runs as one NumPy program if possible."""

    def __init__(self, f: Callable[[Any, Any], Any], compiled: bool, name: str) -> None:
        self._f, self._compiled, self._name = f, compile(f) if compiled else None, name

    def __call__(self, x: Any, y: Any) -> Any:
        if self._compiled is not None:
            try:
                return self._compiled(x, y)
            except (TypeError, ValueError) as error:
                reason = str(error)
                if not reason.startswith("compile: "):
                    raise
            self._compiled = None  # the attempt has changed nothing
            warnings.warn(
                f"fit: the {self._name} cannot be compiled and runs as it is written: "
                f"{reason.removeprefix('compile: ')}. (compile=False turns off this "
                "warning.)",
                stacklevel=2,
            )
        return self._f(x, y)

    def on_rows(self, x: Array, y: Array, rows: Array, size: int) -> list[float]:
        """Call the function on `size` rows at a time, in order; return the losses."""
        if self._compiled is not None and len(rows) > size:
            losses: list[float]
            losses = self._compiled.epoch(x, y, size, rows=rows).tolist()
            return losses
        call = self._f if self._compiled is None else self
        return [
            call(x.take(batch, axis=0), y.take(batch, axis=0)).item()
            for batch in (rows[i : i + size] for i in range(0, len(rows), size))
        ]


def as_arrays(data: Any) -> tuple[Array, Array] | None:
    """Return the two arrays of the data, or None if the data are mini-batches."""
    if not isinstance(data, tuple) or len(data) != 2:
        return None
    x, y = (np.asarray(value_of(part)) for part in data)
    if len(x) != len(y) or not len(x):
        raise ValueError(
            f"fit: the data have {len(x)} rows in x, {len(y)} in y; both need the same "
            "number of rows, 1 or more"
        )
    return x, y


def order_of(data: Any, batch_size: int, shuffle: bool) -> dict[str, Any]:
    """Describe what decides the steps of an epoch; arrays by a checksum.

    >>> order_of((np.zeros((4, 2)), np.zeros((4, 1))), 2, shuffle=True)["data"]
    '4 examples of float64 (2,) and float64 (1,), checksum baf465ae'
    """
    arrays = as_arrays(data)
    if arrays is None:
        return {"data": f"{len(data)} batches" if isinstance(data, list) else "batches"}
    checksum = 0
    for array in arrays:
        for i in range(0, len(array), CHUNK):
            checksum = crc32(array[i : i + CHUNK].tobytes(), checksum)
    x, y = (f"{array.dtype} {array.shape[1:]}" for array in arrays)
    about = f"{len(arrays[0])} examples of {x} and {y}, checksum {checksum:08x}"
    return {"data": about, "batch_size": batch_size, "shuffle": shuffle}


def steps(
    function: BatchFunction,
    data: Any,
    training: Training,
    batch_size: int,
    shuffle: bool,
    every: int | None,
) -> Iterator[list[float]]:
    """Run a function on the mini-batches of an epoch; yield the losses of a few a time.

    It yields when a moment has passed, and after every `every` mini-batches. Steps of
    the epoch that are already done are skipped.
    """
    arrays, done = as_arrays(data), len(training.losses)
    training.begin_epoch()
    if arrays:
        n = len(arrays[0])
        order = training.rng.permutation(n) if shuffle else np.arange(n)
        training.go_on()
        yield from _on_arrays(function, *arrays, order, batch_size, done, every)
        return
    batches = iter(data(training.rng) if callable(data) else data)
    found = sum(1 for _ in islice(batches, done))
    training.go_on()
    for losses in _on_batches(function, batches, done, every):
        found += len(losses)
        yield losses
    if not found or found < done:
        raise ValueError(
            f"fit: the data gave {found} mini-batches for epoch "
            f"{len(training.history) + 1}, of which {done} were already done; a "
            "generator works only once: pass a list, or a function that makes a new one"
        )


def _on_arrays(
    function: BatchFunction,
    x: Array,
    y: Array,
    order: Array,
    size: int,
    done: int,
    every: int | None,
) -> Iterator[list[float]]:
    few = 1
    while done * size < len(order):
        whole = len(order) // size - done  # mini-batches; 0 before a last, short one
        n = max(1, min(few, whole, every - done % every if every else whole))
        start = perf_counter()
        yield function.on_rows(x, y, order[done * size : (done + n) * size], size)
        few = max(1, int(n * TICK / max(perf_counter() - start, 1e-9)))
        done += n


def _on_batches(
    function: BatchFunction, batches: Iterable[Any], done: int, every: int | None
) -> Iterator[list[float]]:
    losses: list[float] = []
    tick = perf_counter() + TICK
    for x, y in batches:
        losses.append(function(x, y).item())
        done += 1
        if perf_counter() > tick or (every and done % every == 0):
            yield losses
            losses, tick = [], perf_counter() + TICK
    if losses:
        yield losses


def evaluated(
    function: BatchFunction, data: Any, metrics: Mapping[str, Callable[[Any, Any], Any]]
) -> dict[str, float]:
    """Return the loss and the metrics; the function returns a batch's output and loss.

    The loss is the mean over all examples, if the function returns the mean over a
    mini-batch. A metric gets all outputs and targets at once.
    """
    arrays = as_arrays(data)
    parts = data
    if arrays:
        starts = range(0, len(arrays[0]), CHUNK)
        parts = [tuple(a[i : i + CHUNK] for a in arrays) for i in starts]
    total, outputs, targets = 0.0, [], []
    with no_grad():
        for x, y in parts:
            output, loss = function(x, y)
            total += loss.item() * len(y)
            outputs.append(value_of(output))
            targets.append(value_of(y))
    if not outputs:
        raise ValueError("evaluate: there are no examples; a generator works only once")
    h, y = np.concatenate(outputs), np.concatenate(targets)
    figures = {"loss": total / len(y)}
    return figures | {name: float(metric(h, y)) for name, metric in metrics.items()}
