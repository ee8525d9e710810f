"""`Module`: a function with parameters; find, save and load them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
    NoReturn,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
)
from weakref import ref

import numpy as np

from tinygrad_edu.engine.graph import Node, new_index
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.nn.summary import Shapes, Sizes, output_shapes
from tinygrad_edu.support import foreign, tree
from tinygrad_edu.support.printable import printable, type_name
from tinygrad_edu.support.randomness import is_generator, set_state, state_of
from tinygrad_edu.support.states import matched, raise_for, wrong_names
from tinygrad_edu.support.table import Table

if TYPE_CHECKING:
    P = ParamSpec("P")
    R = TypeVar("R", covariant=True)

    class HasForward(Protocol[P, R]):
        """A module, for the type of `__call__`, which is that of its `forward`."""

        def forward(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

        def _call(self, function: Any, args: Any, kwargs: Any) -> Any: ...


__all__ = ["Module", "Part", "walk"]


class Module:
    """A function with parameters, such as a layer or a network.

    A subclass stores its parameters (Tensors that require a gradient) and its parts
    (other modules) in attributes, or in lists, tuples, dicts or dataclasses in
    attributes. It defines ``forward``, with any arguments. Replacing a parameter by a
    constant or a computed Tensor raises TypeError.

    Attributes
    ----------
    training : bool
        Whether the module is in training mode. Default: True. `train` and `eval` set
        it.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_edu as tg
    >>> class Line(tg.nn.Module):
    ...     def __init__(self):
    ...         self.slope = tg.Tensor(2.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return self.slope * x
    >>> Line()(3.0).item()
    6.0
    >>> list(Line().named_parameters())
    ['slope']
    """

    training: bool = True

    __dir__ = foreign.listed

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; each subclass defines this."""
        raise TypeError(f"{type_name(self)}: define forward(self, x)")

    def __call__(self: HasForward[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._call(self.forward, args, kwargs)

    def _call(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Call one of the module's functions; store the call in its output."""
        start = new_index()
        output = function(*args, **kwargs)
        for node in (output,) if isinstance(output, Node) else _each(output):
            if node.op is not None and node.index > start:
                given = tuple(map(id, (*args, *kwargs.values()) if kwargs else args))
                call = (self._title, start, ref(self), given)  # a graph.ModuleCall
                node.calls = (*node.calls, call) if hasattr(node, "calls") else (call,)
        return output

    @property
    def _title(self) -> str:
        """The module's name in pictures and tables."""
        return type(self).__name__

    def __setattr__(self, name: str, value: Any) -> None:
        constant = isinstance(value, Node | np.ndarray | np.generic | float | int)
        if constant and not is_parameter(value) and is_parameter(vars(self).get(name)):
            name = printable(name)
            raise TypeError(
                f"{type_name(self)}: {name} is a parameter; the new value is not one, "
                f"so {name} would not be trained; to set its value, assign to "
                f"module.{name}.data, or change it in place within "
                f"`with tg.no_grad():`; to stop training it, set "
                f"module.{name}.requires_grad = False; to replace it by a constant, "
                f"del module.{name} first"
            )
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"{printable(self._title)}({', '.join(map(str, self._facts()))})"

    def _facts(self) -> tuple[Any, ...]:
        """Return what to print inside the brackets."""
        return ()

    # --- Parts and parameters ---------------------------------------------------------

    def named_parameters(self) -> dict[str, Tensor]:
        """Return each parameter once, under the path that leads to it.

        Raises
        ------
        ValueError
            If two parameters have the same path, as in ``{3: p, "3": q}``.
        """
        parameters: dict[str, Tensor] = {}
        for part in walk(self):
            if part.is_parameter:
                if part.path in parameters:
                    raise ValueError(
                        f"{type_name(self)}: two parameters have the same path, "
                        f"{printable(part.path)}; give one of them another name"
                    )
                parameters[ParameterPath(part.path)] = part.thing
        return parameters

    def parameters(self) -> list[Tensor]:
        """Return each parameter once, in the order of definition."""
        return list(self.named_parameters().values())

    def summary(self, input_shape: tuple[int, ...] | None = None) -> Table:
        """Return a table of the layers and their numbers of parameters.

        Parameters
        ----------
        input_shape : tuple of int, optional
            If given, call the module on zeros of this shape, in evaluation mode, and
            show the shape of each layer's output.

        Examples
        --------
        >>> import tinygrad_edu as tg
        >>> print(tg.nn.MLP([784, 30, 10]).summary((100, 784)))
        layer                output shape  parameters
        z1: Linear(784, 30)  (100, 30)     23550
        a1: Sigmoid()        (100, 30)     0
        z2: Linear(30, 10)   (100, 10)     310
        a2: Sigmoid()        (100, 10)     0
        total                              23860
        """
        layers = _layers(self)
        total = sum(size for _, size in layers)
        if input_shape is None:
            return Sizes([*((str(x), size) for x, size in layers), ("total", total)])
        dtype = next((p.dtype for p in self.parameters()), np.dtype(float))
        x = Tensor(np.zeros(input_shape, dtype))
        modules = [part.thing for part in walk(self) if isinstance(part.thing, Module)]
        shapes = output_shapes(modules, lambda: self(x))
        rows = [
            (str(layer), shapes.get(id(layer.thing), ""), size)
            for layer, size in layers
        ]
        return Shapes([*rows, ("total", "", total)])

    # --- Training and evaluation ------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Set ``training`` for the module and all its parts; return the module."""
        for part in walk(self):
            if isinstance(part.thing, Module) and part.thing.training != mode:
                part.thing.training = mode
        return self

    def eval(self) -> Self:
        """Set ``training`` to False, for the module and all its parts."""
        return self.train(False)

    # --- Saving and resuming ----------------------------------------------------------

    def state_dict(self, copy: bool = True) -> dict[str, np.ndarray[Any, Any]]:
        """Return copies of the parameters' values, by path.

        Without ``copy``, return the arrays themselves; the next training step changes
        them.

        Examples
        --------
        >>> import tinygrad_edu as tg
        >>> {path: x.shape for path, x in tg.nn.Linear(2, 3).state_dict().items()}
        {'weight': (3, 2), 'bias': (3,)}
        """
        arrays = {str(path): p.data for path, p in self.named_parameters().items()}
        return {path: x.copy() for path, x in arrays.items()} if copy else arrays

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the values of a state into the parameters' memory.

        Parameters
        ----------
        state : mapping of str to array or Tensor
            The `state_dict` of a module like this one. The arrays may be those of
            another library: PyTorch's `Linear` has parameters of the same names and
            shapes.

        Raises
        ------
        TypeError
            If the state is not a mapping.
        ValueError
            If a value is missing, unknown, or of another shape or dtype. The message
            lists all such values, and no parameter is changed.
        """
        parameters = self.named_parameters()
        wanted = {path: p.data for path, p in parameters.items()}
        found = matched(state, wanted, type_name(self))
        for path, array in found.items():
            parameters[path].data[...] = array

    def random_state(self) -> dict[str, Any]:
        """Return the states of the module's random generators, by path.

        After `load_random_state`, `Dropout` continues exactly where it was.

        Examples
        --------
        >>> import tinygrad_edu as tg
        >>> model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.Dropout(0.5, rng=0))
        >>> list(model.random_state())
        ['1.rng']
        """
        return {path: state_of(rng) for path, rng in self._generators().items()}

    def load_random_state(self, state: Mapping[str, Any]) -> None:
        """Set the states of the module's random generators.

        Raises
        ------
        TypeError
            If the state is not a mapping.
        ValueError
            If a generator is missing or unknown, or does not accept its state. The
            message lists all of them, and no generator is changed.
        """
        generators, before = self._generators(), self.random_state()
        faults = wrong_names(state, generators, type_name(self))
        for path, rng in generators.items():
            if path in state:
                try:
                    set_state(rng, state[path])
                except Exception as error:
                    faults.append(f"{printable(path)}: {error}")
        if faults:
            for path, rng in generators.items():
                set_state(rng, before[path])
        raise_for(faults, type_name(self))

    def _generators(self) -> dict[str, Any]:
        parts = walk(self)
        return {part.path: part.thing for part in parts if is_generator(part.thing)}


def _each(output: Any) -> list[Node]:
    """List the Tensors in an output that is a tuple or a list."""
    several = output if isinstance(output, tuple | list) else ()
    return [x for x in several if isinstance(x, Node)]


def is_parameter(x: Any) -> bool:
    """Return whether `x` is a leaf Tensor that requires a gradient."""
    return isinstance(x, Tensor) and x.requires_grad and x.is_leaf


class ParameterPath(str):
    """The path to a parameter; it cannot be unpacked, as if it were a pair."""

    __slots__ = ()

    def __iter__(self) -> NoReturn:
        raise TypeError(
            "named_parameters: it returns a dict; write `for name, p in "
            "model.named_parameters().items()`"
        )


class Part(NamedTuple):
    """A part of a module: a module, a Tensor or a random generator."""

    path: str
    thing: Any
    owner: Module | None  # the module whose attributes lead to it

    @property
    def is_parameter(self) -> bool:
        return is_parameter(self.thing)

    def __str__(self) -> str:
        return f"{printable(self.path)}: {self.thing}" if self.path else str(self.thing)


def walk(module: Module) -> Iterator[Part]:
    """Yield the module and all its parts, each once, in the order of definition.

    A part may refer back to its owner.
    """
    seen: set[int] = set()
    stack: list[tuple[tuple[str, ...], Any, Any]] = [((), module, None)]
    while stack:
        path, thing, owner = stack.pop()
        is_part = isinstance(thing, Module | Tensor) or is_generator(thing)
        if not is_part and not tree.is_structure(thing):
            continue
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if is_part:
            yield Part(".".join(path), thing, owner)
        if isinstance(thing, Module):
            thing, owner = vars(thing), thing
        parts = tree.keyed_parts(thing)
        stack += [((*path, str(name)), parts[name], owner) for name in reversed(parts)]


def _layers(module: Module) -> list[tuple[Part, int]]:
    """List the layers, and how many parameters each has.

    A layer is a module that has parameters of its own, or no parts.
    """
    parts = list(walk(module))
    modules = [part for part in parts if isinstance(part.thing, Module)]
    with_parts = {id(part.owner) for part in modules}
    sizes = Counter[int]()
    for part in parts:
        if part.is_parameter:
            sizes[id(part.owner)] += part.thing.size
    return [
        (part, sizes[id(part.thing)])
        for part in modules
        if id(part.thing) in sizes or id(part.thing) not in with_parts
    ]


for _name in foreign.TABLE["model"]:
    setattr(Module, _name, foreign.Elsewhere("model", _name))
