"""What a function is called with: the data in it, and what must hold of the rest."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.compiler.expressions import subscript
from tinygrad_edu.compiler.recording.accesses import References
from tinygrad_edu.compiler.recording.captured import check_kind, key_text
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
    conditions : list of str
        What must hold of their structure and of the data.
    data : dict of str to object
        Arrays, Tensors and floats, by the expressions that lead to them.
    others : dict of str to object
        The other leaves.
    paths : dict of str to str
        What the user calls all these, in order.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        refer: References,
    ) -> None:
        self._whole, self._refer = (args, kwargs), refer
        self.conditions = [f"len(args) == {len(args)}"]
        self.data: dict[str, Any] = {}
        self.others: dict[str, Any] = {}
        self.paths: dict[str, str] = {}
        names = list(inspect.signature(f).parameters) or [""]
        for i, x in enumerate(args):
            self._look_at(x, f"args[{i}]", names[min(i, len(names) - 1)])
        self._look_at_items(kwargs, "kwargs", "")

    def with_stand_ins(self, stand_ins: dict[str, Any]) -> Any:
        """Return the arguments and keywords, with others in place of the data."""
        leaves = zip(self.paths, tree.leaves(self._whole))
        return tree.rebuild(self._whole, [stand_ins.get(a, x) for a, x in leaves])

    def _look_at(self, x: Any, access: str, path: str) -> None:
        """Note what must hold of an argument, and what of it is data."""
        self.conditions.append(f"{access}.__class__ is {self._refer(type(x))}")
        if isinstance(x, dict):
            self._look_at_items(x, access, path)
        elif isinstance(x, tuple | list):
            self.conditions.append(f"len({access}) == {len(x)}")
            for i, part in enumerate(x):
                self._look_at(part, f"{access}[{i}]", f"{path}_{i}")
        elif fields := tree.fields(x):
            for name, part in fields.items():
                self._look_at(part, f"{access}.{name}", f"{path}_{name}")
        elif x is not None:
            self._look_at_leaf(x, access)
            self.paths[access] = path

    def _look_at_items(self, x: dict[Any, Any], access: str, path: str) -> None:
        keys = f"[*{access}] == {self._refer(list(x))}" if x else f"not {access}"
        self.conditions.append(keys)
        for key, part in x.items():
            inner = f"{access}[{subscript(key, self._refer)}]"
            self._look_at(part, inner, f"{path}_{key_text(key)}")

    def _look_at_leaf(self, x: Any, access: str) -> None:
        is_data = isinstance(x, Tensor | np.ndarray | np.generic) or type(x) is float
        (self.data if is_data else self.others)[access] = x
        if not is_data or type(x) is float:
            return
        self.conditions.append(f"{access}.shape == {x.shape}")
        self.conditions.append(f"{access}.dtype == {self._refer(x.dtype)}")
        if not isinstance(x, Tensor):
            check_kind(x, "an argument")
            return
        self.conditions.append(f"{access}.requires_grad is {x.requires_grad}")
        check_kind(x.array, "an argument")
        if x.op is not None:
            raise ValueError(
                "compile: an argument is a Tensor that was computed and requires a "
                "gradient, which would be lost, since the answers of a compiled "
                "function are constants; compile the whole step, or pass detach()"
            )
