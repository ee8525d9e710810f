"""More than one process: synchronous data parallelism, by MPI.

Each process, called a *rank*, has the whole network and a share of every mini-batch.
It computes the gradient over its share; then the ranks add up what they have found
(`Allreduce`), which is the one thing they exchange in a step. So each has the gradient
over the whole mini-batch, and makes the step that a single process would make.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.data.sets import minibatches
from tinygrad_edu.engine.debug import watch
from tinygrad_edu.engine.graph import current_mode
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support.randomness import shuffled
from tinygrad_edu.support.states import is_number
from tinygrad_edu.train.job import PASS, STEP, Meeting, world

__all__ = ["DataParallel", "world"]

Array = np.ndarray[Any, Any]


class DataParallel:
    """What keeps the ranks' networks the same: they start as rank 0's, and move alike.

    Parameters
    ----------
    params : iterable of Tensor
        The parameters, ``model.parameters()``: of the same shapes and dtypes in every
        rank. They become those of rank 0.
    comm : mpi4py.MPI.Intracomm, optional
        Whose ranks work together; by default all, `world()`.
    optimiser : Optimiser, optional
        Of the parameters. Its kind and its numbers, such as the learning rate, are the
        same in every rank; here and when a pass begins they are compared.
    timeout : float, default 600
        How many seconds a rank waits in a step for the others. It is an error if they
        have not come then.

    Attributes
    ----------
    rank : int
        The number of this one, from 0.
    size : int
        How many there are.

    Raises
    ------
    ValueError
        If there are no parameters, or the ranks have different ones, or optimisers that
        differ. The message, in every rank, names all that differs.

    Notes
    -----
    Ranks that do not do the same would wait for each other, or drift apart. So it is an
    error, in every rank, if one makes another step while another one begins a pass or
    has ended; and if the parameters differ, which are compared when a pass begins and
    after 1, 3, 7, 15, ... steps.

    Examples
    --------
    In a program that ``mpiexec -n 2 python program.py`` runs twice, or ``python
    program.py`` once, with the same result:

    >>> import tinygrad_edu as tg
    >>> x, y = tg.data.xor()
    >>> model = tg.nn.MLP([2, 3, 1], rng=0)
    >>> optimiser = tg.optim.SGD(model.parameters(), lr=2.0)
    >>> parallel = tg.parallel.DataParallel(model.parameters())
    >>> def gradients(x, y):
    ...     loss = tg.losses.mse(model(x), y)
    ...     optimiser.zero_grad()
    ...     loss.backward()
    ...     return loss
    >>> for batch in parallel.minibatches(x, y, batch_size=4):
    ...     loss = parallel.run(gradients, *batch)
    ...     optimiser.step()
    >>> round(loss, 4)
    0.1407
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        comm: Any = None,
        *,
        optimiser: Any = None,
        timeout: float = 600.0,
    ) -> None:
        self.comm = world() if comm is None else comm
        self.rank: int = self.comm.rank
        self.size: int = self.comm.size
        self.params, self.optimiser = list(params), optimiser

        # All that a step exchanges is in one array: the gradients, in how many ranks
        # each parameter has one, the number of examples, and the loss.
        sizes = [p.size for p in self.params]
        dtype = np.result_type(np.float32, *(p.dtype for p in self.params))
        self._meeting = Meeting(self.comm, sum(sizes) + len(sizes) + 2, dtype, timeout)
        *parts, self._holders, self._totals = np.split(
            self._meeting.array, np.cumsum([*sizes, len(sizes)])
        )
        self._gradients = [a.reshape(p.shape) for a, p in zip(parts, self.params)]

        kinds = {
            f"parameter {i}": f"{p.dtype} {p.shape}" for i, p in enumerate(self.params)
        }
        self._meeting.compare(
            {"number of parameters": len(sizes)} | kinds | self._numbers(),
            "Make the same network and the same optimiser in every rank",
        )
        if not self.params:
            raise ValueError("DataParallel: there are no parameters")
        firsts = self._meeting.of_first([p.data for p in self.params])
        for p, of_first in zip(self.params, firsts):
            p.data[...] = of_first

    def _numbers(self) -> dict[str, Any]:
        """Return what decides how far an optimiser's steps go."""
        if self.optimiser is None:
            return {}
        state = self.optimiser.state_dict(copy=False)
        numbers = {k: np.asarray(x).tolist() for k, x in state.items() if is_number(x)}
        return {"optimiser": type(self.optimiser).__name__} | numbers

    def _compare(self, **settings: Any) -> None:
        """Raise if the ranks differ in these, or in what they have become."""
        sums = {
            f"parameter {i}": f"checksum {zlib.crc32(p.data.tobytes()):08x}"
            for i, p in enumerate(self.params)
        }
        self._meeting.compare(
            settings | self._numbers() | sums,
            "Go through the same examples in every rank, and make the same steps with "
            "the same optimiser; DataParallel(..., optimiser=optimiser) compares its "
            "numbers",
        )

    def share(self, n: int) -> slice:
        """Return which of `n` examples are this rank's: a run of them, maybe none.

        No rank has two more than another.
        """
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def minibatches(
        self, x: Array, y: Array, batch_size: int, rng: Any = None
    ) -> Iterator[tuple[Array, Array]]:
        """Go once through the examples, as `tg.data.minibatches`; give this rank's.

        Parameters
        ----------
        x, y : ndarray, shapes (n, ...)
            One example a row, the same in every rank.
        batch_size : int
            How many examples the ranks have together; the last mini-batch may be
            shorter.
        rng : Generator, RandomState or int, optional
            Shuffles the examples. That of rank 0 counts; the others are only drawn
            from. A seed gives the same order each time.

        Returns
        -------
        iterator of (x, y)
            This rank's rows of each mini-batch. Where there are fewer examples than
            ranks, some get arrays without rows.

        Raises
        ------
        ValueError
            `x` and `y` differ in length, or `batch_size` is below 1; or the ranks
            differ in these, in the optimiser's numbers or in the parameters.
        RuntimeError
            If another rank makes another step, or has ended.
        """
        self._meeting.hold(PASS)
        self._compare(rows_of_x=len(x), rows_of_y=len(y), batch_size=batch_size)
        order = self._meeting.of_first(shuffled(np.arange(len(x)), rng))
        batches = minibatches(order, np.arange(len(y)), batch_size)
        own = (batch[self.share(len(batch))] for batch, _ in batches)
        return ((x.take(rows, axis=0), y.take(rows, axis=0)) for rows in own)

    def run(self, f: Callable[..., Any], *batch: Array) -> float:
        """Let each rank run `f` on its examples, then `average` what came of it.

        Parameters
        ----------
        f : callable
            Computes the loss, calls ``zero_grad()`` and ``backward()``, and returns the
            loss; but makes no step. `tg.compile` may have made a program of it.
        *batch : ndarray
            What `f` is called with: this rank's examples, one a row. A rank that has
            none takes part without calling `f`.

        Returns
        -------
        float
            The loss over the examples of all ranks. Their gradient is in the
            parameters' ``.grad``.
        """
        n = len(batch[0])
        return self.average(f(*batch) if n else 0.0, n)

    def average(self, loss: Any, n: int) -> float:
        """Make the ranks' gradients and losses those over the examples of all ranks.

        Parameters
        ----------
        loss : Tensor or float
            A mean over this rank's examples, whose gradient is in the parameters'
            ``.grad``. What does not depend on the examples, such as `tg.losses.l2`, may
            have been added to it.
        n : int
            How many examples this rank has. If there are none, its loss and gradients
            do not count.

        Returns
        -------
        float
            The loss over all examples. Every parameter's ``.grad`` is its gradient; it
            lies in memory that the next call uses again.

        Raises
        ------
        ValueError
            If no rank has an example.
        RuntimeError
            If another rank begins a pass, or has ended.
        TimeoutError
            If others have not come in time.
        TypeError
            Within a function that `tg.compile` records, or a transform such as
            `tg.grad` differentiates: neither can follow what the ranks exchange.
        """
        mode = current_mode.get()
        if mode.nested or mode.tape is not None:
            raise TypeError(
                "parallel: what the ranks exchange can be neither recorded by "
                "tg.compile nor differentiated; let it be the function that computes "
                "the gradients which is compiled, and pass that to run()"
            )
        # A mean over n examples counts n times; a rank that has no example may have
        # gradients of an earlier step, and they do not count.
        for k, (view, p) in enumerate(zip(self._gradients, self.params)):
            self._holders[k] = held = n > 0 and p.grad is not None
            if held:
                np.multiply(p.grad.data, n, out=view, dtype=view.dtype)
            else:
                view.fill(0)
        self._totals[:] = n, n * float(loss) if n else 0.0

        self._meeting.hold(STEP)
        steps = self._meeting.steps
        if steps > 1 and steps & (steps - 1) == 0:  # a power of two
            self._compare()

        total = self._totals[0].item()
        if total == 0:
            raise ValueError("parallel: no rank has an example")
        for view, held, p in zip(self._gradients, self._holders, self.params):
            view /= total
            p.grad = Tensor(view, dtype=p.dtype) if held else None
        return float(self._totals[1] / total)
