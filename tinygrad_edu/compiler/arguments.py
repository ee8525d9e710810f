"""What a function is called with: the data in it, and what must hold of the rest."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.compiler.accesses import Condition, References
from tinygrad_edu.compiler.captured import check_kind, key_text
from tinygrad_edu.compiler.expressions import literal, subscript
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support import tree

__all__ = ["Arguments", "is_argument"]


def is_argument(access: str) -> bool:
    """Whether an expression leads to a part of the arguments."""
    return access.startswith(("args[", "kwargs["))


class Arguments:
    """The arguments of a call, taken apart.

    Attributes
    ----------
    conditions : list of Condition
    data : dict of str to object
        Arrays, Tensors and floats, by the expressions that lead to them.
    paths : dict of str to str
        What the user calls these.
    others : dict of str to object
        What is neither data nor a plain value.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        refer: References,
    ) -> None:
        self._whole, self._refer = (args, kwargs), refer
        self._f = f
        self.conditions: list[Condition] = []
        self.data: dict[str, Any] = {}
        self.paths: dict[str, str] = {}
        self.others: dict[str, Any] = {}
        self._leaves: list[str] = []
        self._look_at(args, "args", "")
        self._look_at(kwargs, "kwargs", "")

    def with_stand_ins(self, stand_ins: dict[str, Any]) -> Any:
        """Return the arguments and keywords, with others in place of the data."""
        leaves = zip(self._leaves, tree.leaves(self._whole))
        return tree.rebuild(self._whole, [stand_ins.get(a, x) for a, x in leaves])

    def _look_at(self, x: Any, access: str, path: str) -> None:
        """Note what must hold of an argument, and what of it is data."""

        def require(*sources: str) -> None:
            self.conditions.extend(Condition(source, access) for source in sources)

        if access not in ("args", "kwargs"):
            require(f"{access}.__class__ is {self._refer(type(x))}")
        if isinstance(x, tuple | list):
            require(f"len({access}) == {len(x)}")
            for i, part in enumerate(x):
                inner = self._parameter(i) if access == "args" else f"{path}_{i}"
                self._look_at(part, f"{access}[{i}]", inner)
            return
        if fields := tree.fields(x):
            for name, part in fields.items():
                self._look_at(part, f"{access}.{name}", f"{path}_{name}")
            return
        if isinstance(x, dict):
            require(f"[*{access}] == {self._refer(list(x))}" if x else f"not {access}")
            for key, part in x.items():
                inner = f"{access}[{subscript(key, self._refer)}]"
                self._look_at(part, inner, f"{path}_{key_text(key)}")
            return
        if x is not None:
            self._leaves.append(access)
        self.paths[access] = path
        if isinstance(x, Tensor | np.ndarray | np.generic):
            require(
                f"{access}.shape == {x.shape}",
                f"{access}.dtype == {self._refer(x.dtype)}",
            )
            check_kind(x.array if isinstance(x, Tensor) else x, "an argument")
            if isinstance(x, Tensor):
                require(f"{access}.requires_grad is {x.requires_grad}")
                if x.op is not None:
                    raise ValueError(
                        "compile: an argument is a Tensor that was computed and "
                        "requires a gradient, which would be lost, since the answers "
                        "of a compiled function are constants; compile the whole step, "
                        "or pass detach()"
                    )
            self.data[access] = x
        elif type(x) is float:
            self.data[access] = x
        elif isinstance(x, int | str | bytes | None):
            require(f"{access} == {literal(x) or self._refer(x)}")
        else:
            self.others[access] = x

    def _parameter(self, i: int) -> str:
        """Say args[i] by the parameter's name."""
        names = list(inspect.signature(self._f).parameters)
        return names[min(i, len(names) - 1)] if names else f"x{i}"
