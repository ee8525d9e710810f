"""Train in several processes: synchronous data parallelism, with MPI.

Each process, called a *rank*, has the whole network and a share of every mini-batch. It
computes the gradient over its share. Then the ranks add up their gradients
(`Allreduce`), their only exchange in a step. So each rank has the gradient over the
whole mini-batch, and makes the step that a single process would make.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.data.sets import minibatches
from tinygrad_edu.engine.graph import current_mode
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support.randomness import shuffled
from tinygrad_edu.support.states import is_number
from tinygrad_edu.train.job import PASS, STEP, Meeting, world

__all__ = ["DataParallel", "world"]

Array = np.ndarray[Any, Any]


class DataParallel:
    """Keeps the networks of all ranks equal: same initial values, same steps.

    Parameters
    ----------
    params : iterable of Tensor
        The parameters, ``model.parameters()``. Shapes and dtypes must be equal in all
        ranks. All ranks get the values of rank 0.
    comm : mpi4py.MPI.Intracomm, optional
        The communicator of the ranks that work together. The default is all ranks,
        `world()`.
    optimiser : Optimiser, optional
        The optimiser of the parameters. Its class and its numbers, such as the learning
        rate, must be equal in all ranks. They are compared here and at the start of
        each pass.
    timeout : float, default 600
        How many seconds a rank waits in a step for the others. After that, it raises an
        error.

    Attributes
    ----------
    rank : int
        The number of this rank, from 0.
    size : int
        The number of ranks.

    Raises
    ------
    ValueError
        If there are no parameters, or if the parameters or optimisers of the ranks
        differ. The message is the same in every rank, and lists all differences.

    Notes
    -----
    If ranks did different things, they would wait for each other, or their networks
    would become different. So every rank raises an error if one rank makes a step while
    another begins a pass or has ended. Every rank also raises an error if parameters
    differ: they are compared at the start of each pass and after 1, 3, 7, 15, ...
    steps.

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

        # A step exchanges one array. It contains the gradients, the number of ranks
        # with a gradient for each parameter, the number of examples, and the loss.
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
        """Return the optimiser's class and numbers, which decide its steps."""
        if self.optimiser is None:
            return {}
        state = self.optimiser.state_dict(copy=False)
        numbers = {k: np.asarray(x).tolist() for k, x in state.items() if is_number(x)}
        return {"optimiser": type(self.optimiser).__name__} | numbers

    def _compare(self, **settings: Any) -> None:
        """Raise if the settings, optimisers or parameters of the ranks differ."""
        sums = {
            f"parameter {i}": f"checksum {zlib.crc32(p.data.tobytes()):08x}"
            for i, p in enumerate(self.params)
        }
        self._meeting.compare(
            settings | self._numbers() | sums,
            "Use the same examples in every rank, and make the same steps with the "
            "same optimiser; DataParallel(..., optimiser=optimiser) compares its "
            "numbers",
        )

    def share(self, n: int) -> slice:
        """Return which of `n` examples are this rank's, as a slice; it may be empty.

        The shares of any two ranks differ by 1 example at most.
        """
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def minibatches(
        self, x: Array, y: Array, batch_size: int, rng: Any = None
    ) -> Iterator[tuple[Array, Array]]:
        """Yield this rank's part of each mini-batch, as `tg.data.minibatches` does.

        Parameters
        ----------
        x, y : ndarray, shapes (n, ...)
            The examples, one in each row, equal in all ranks.
        batch_size : int
            The examples in a mini-batch, of all ranks together; the last mini-batch may
            have fewer.
        rng : Generator, RandomState or int, optional
            Shuffles the examples. All ranks use the order of rank 0; their own
            generators advance in the same way. A seed gives the same order each time.

        Returns
        -------
        iterator of (x, y)
            This rank's rows of each mini-batch. If there are fewer examples than ranks,
            some ranks get arrays without rows.

        Raises
        ------
        ValueError
            If `x` and `y` differ in length, if `batch_size` is below 1, or if the ranks
            have different ones, different optimisers or different parameters.
        RuntimeError
            If another rank makes a step instead, or has ended.
        """
        self._meeting.hold(PASS)
        self._compare(rows_of_x=len(x), rows_of_y=len(y), batch_size=batch_size)
        order = self._meeting.of_first(shuffled(np.arange(len(x)), rng))
        batches = minibatches(order, np.arange(len(y)), batch_size)
        own = (batch[self.share(len(batch))] for batch, _ in batches)
        return ((x.take(rows, axis=0), y.take(rows, axis=0)) for rows in own)

    def run(self, f: Callable[..., Any], *batch: Array) -> float:
        """Run `f` on this rank's examples, then `average` over all ranks.

        Parameters
        ----------
        f : callable
            Computes the loss, calls ``zero_grad()`` and ``backward()``, and returns the
            loss, without making a step. It may be compiled with `tg.compile`.
        *batch : ndarray
            The arguments of `f`: this rank's examples, one in each row. A rank without
            examples takes part without calling `f`.

        Returns
        -------
        float
            The loss over the examples of all ranks. Their gradient is in the
            parameters' ``.grad``.
        """
        n = len(batch[0])
        return self.average(f(*batch) if n else 0.0, n)

    def average(self, loss: Any, n: int) -> float:
        """Make each rank's gradients those of the mean loss over all ranks' examples.

        Parameters
        ----------
        loss : Tensor or float
            The mean over this rank's examples; its gradient is in the parameters'
            ``.grad``. It may include terms that do not depend on the examples, such as
            `tg.losses.l2`.
        n : int
            The number of this rank's examples. If it is 0, the loss and the gradients
            do not count.

        Returns
        -------
        float
            The loss over all examples. Each parameter's ``.grad`` is the gradient of
            this loss; the next call overwrites its memory.

        Raises
        ------
        ValueError
            If no rank has an example.
        RuntimeError
            If another rank begins a pass, or has ended.
        TimeoutError
            If other ranks do not come in time.
        TypeError
            Inside a function that `tg.compile` records, or that a transform such as
            `tg.grad` differentiates. Neither can follow the exchange between ranks.
        """
        mode = current_mode.get()
        if mode.nested or mode.tape is not None:
            raise TypeError(
                "parallel: the exchange between ranks can be neither recorded by "
                "tg.compile nor differentiated; compile only the function that "
                "computes the gradients, and pass it to run()"
            )
        # Weight a mean over n examples by n. A rank without examples may have gradients
        # of an earlier step; they do not count.
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
