"""Find the op whose rule is wrong, and describe the fault.

Each recorded op is checked alone, at the inputs of the recorded call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.checking.catalogue import factor_in_words
from tinygrad_edu.checking.probe import Check, Probe, normal, scale
from tinygrad_edu.checking.replay import difference
from tinygrad_edu.engine.debug import Origin, caller
from tinygrad_edu.engine.graph import Node, record
from tinygrad_edu.engine.modes import Setting
from tinygrad_edu.engine.op import Op
from tinygrad_edu.engine.tensor import Tensor
from tinygrad_edu.support.language import say

__all__ = ["causes"]

Array = np.ndarray[Any, Any]


def causes(probe: Probe, position: int, worst: Check, order: int) -> list[str]:
    """Say why reverse mode and differences give a leaf different derivatives.

    Parameters
    ----------
    probe : Probe
        The function that was checked.
    position : int
        Which leaf.
    worst : Check
        The check of the direction in which the two differ most.
    order : {1, 2}
        1 for a first derivative, 2 for a second.
    """
    computed: list[Node] = []

    def remember(node: Node, op: Op, inputs: tuple[Any, ...]) -> None:
        if node.op is not None:
            node.origin = Origin(*caller(), node)
            computed.append(node)

    with Setting("gradcheck", watch=remember):
        probe.f(*probe.leaves)
    found: list[str] = []
    if worst.is_precise:
        found = [fault for node in computed for fault in _faults(node, order)]
    return list(dict.fromkeys(found)) or [_without_fault(probe, position, worst)]


def _faults(node: Node, order: int) -> Iterator[str]:
    """Check the rules of one node's op; yield a message for each fault."""
    op, values = node.op, _values(node)
    places = [i for i, value in enumerate(values) if _is_float(value)]

    def apply(*xs: Tensor) -> Any:
        arguments = list(values)
        for place, x in zip(places, xs):
            arguments[place] = x
        return record(op, tuple(arguments), node.params)

    rng = np.random.default_rng(1)
    leaves = [Tensor(values[i], requires_grad=True) for i in places]
    probe = Probe(apply, leaves, normal(rng, apply(*leaves)))
    names = [
        f"{op.inputs[0]}[{place}]" if op.variadic else op.inputs[place]
        for place in places
    ]
    right = True
    for position, checks in _wrong(probe, rng):
        right = False
        if all(probe.bends(position, check.direction) for check in checks):
            yield say(
                "you are at a kink of {op} (called at {place}): the slopes to the left "
                "and right of it differ. There, the rule follows a convention "
                "({convention}); check at another point",
                op=op.name,
                place=node.origin,
                convention=op.subgradient or say("not declared"),
            )
            continue
        yield say(
            "the rule of {op} for its input {name} (shape {shape}, called at {place}) "
            "is wrong: {slip}",
            op=op.name,
            name=names[position],
            shape=leaves[position].shape,
            place=node.origin,
            slip=next(_slips(probe, position, op, names)),
        )
    if right and order == 2:
        for position, _ in _wrong(probe.second(rng), rng):
            yield say(
                "the gradient of {op} (called at {place}) is right, but its derivative "
                "with respect to {name} is wrong; does a rule use .data, so that a "
                "part of it is not recorded?",
                op=op.name,
                place=node.origin,
                name=names[position],
            )


def _values(node: Node) -> list[Any]:
    return [x.data if isinstance(x, Node) else x for x in node.inputs]


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _wrong(probe: Probe, rng: np.random.Generator) -> Iterator[tuple[int, list[Check]]]:
    """Yield each leaf whose gradient is wrong, with the checks that show it."""
    for position, checks in enumerate(probe.checks(rng)):
        wrong = [
            check
            for check in checks
            if check.is_precise
            and not check.excess <= probe.tolerance(position, check)  # NaN is wrong
        ]
        if wrong:
            yield position, wrong


def _slips(probe: Probe, position: int, op: Op, names: list[str]) -> Iterator[str]:
    """Yield the slips that explain a rule's wrong result, the likeliest first.

    The right result is not known, but only its slope in some directions. So a slip is
    undone, and the slopes are compared.
    """
    x, g = probe.leaves[position], probe.cotangent
    y = probe.f(*probe.leaves).data
    gradients = probe.gradients()
    wrong = gradients[position]
    checks = probe.checks(np.random.default_rng(2))[position]
    axis = _axis_without_sum(probe, position, checks)
    if axis is not None:
        yield say(
            "the sum over axis {axis} of the output is missing (it was broadcast)",
            axis=axis,
        )
    if not np.isfinite(wrong).all():
        yield say("it has a NaN or an infinity")
    if not np.any(wrong):
        yield say("it is zero")
    slopes = np.array([(c.reverse, c.difference) for c in checks])
    ratio = slopes[:, 0] @ slopes[:, 1] / (slopes[:, 1] @ slopes[:, 1] or 1.0)
    agrees = _agrees(checks)
    sizes = {
        say("the length of the output's axis {i}", i=i): n
        for i, n in enumerate(y.shape)
    }
    sizes |= {
        say("the length of the input's axis {i}", i=i): n for i, n in enumerate(x.shape)
    }
    sizes[say("the number of the input's elements")] = x.size
    factors: dict[str, Array] = {}
    if op.elementwise:
        factors = {"y": y, "(1 - y)": 1 - y}
        factors |= {name: leaf.data for name, leaf in zip(names, probe.leaves)}
    with np.errstate(all="ignore"):
        if agrees(wrong / ratio):
            yield from factor_in_words(ratio, sizes, most=1, tolerance=1e-3)
        if wrong.ndim == 2 and len(wrong) > 1 and agrees(wrong.T):
            yield say("it is transposed")
        for what, factor in factors.items():
            if factor.shape in (wrong.shape, ()):
                if agrees(wrong * factor):
                    yield say("the factor {factor} is missing", factor=what)
                if agrees(wrong / factor):
                    yield say(
                        "the factor {factor} is there one time too many", factor=what
                    )
    others = {
        say("it ignores g, the upstream gradient"): Probe(
            probe.f, probe.leaves, 3 * g
        ).gradients()[position],
        say("it passes g on; the op's own derivative is missing as a factor"): g,
    }
    others |= {
        say("it is the rule for the input {name}", name=names[i]): gradient
        for i, gradient in enumerate(gradients)
        if i != position
    }
    yield from (slip for slip, g in others.items() if difference(wrong, g) <= 1e-6)
    yield say("no common mistake explains it")


def _agrees(checks: Sequence[Check]) -> Callable[[Array], bool]:
    """Return a function: whether an array can be the right gradient."""
    tolerance = 1e-3 * scale(checks)

    def agrees(gradient: Array) -> bool:
        return all(
            gradient.shape == c.direction.shape
            and abs(float(np.vdot(gradient, c.direction)) - c.difference) <= tolerance
            for c in checks
        )

    return agrees


def _axis_without_sum(
    probe: Probe, position: int, checks: Sequence[Check]
) -> int | None:
    """Find the output axis over which a rule forgot to sum: it took one slice."""
    shape, g = probe.leaves[position].shape, probe.cotangent
    extra = g.ndim - len(shape)
    for axis, n in enumerate(g.shape):
        if n == 1 or (axis >= extra and shape[axis - extra] == n):
            continue
        for which in (0, -1):
            index = (slice(None),) * axis + (which,)
            one_slice = np.zeros_like(g)
            one_slice[index] = g[index]
            sliced = Probe(probe.f, probe.leaves, one_slice)
            taken = [sliced.difference(position, c.direction).value for c in checks]
            reverse = [c.reverse for c in checks]
            if np.allclose(taken, reverse, rtol=0, atol=1e-3 * scale(checks)):
                return axis
    return None


def _without_fault(probe: Probe, position: int, worst: Check) -> str:
    if probe.bends(position, worst.direction):
        return say("you are at a kink: the slopes to the left and right of it differ")
    if not worst.is_precise:
        return say(
            "the step is too large here: larger and smaller steps give differences "
            "{error:.1g} apart; check where the function is smoother",
            error=worst.error,
        )
    return say(
        "the rule of every recorded op agrees with differences, so a part of the "
        "function is not recorded: do you use .data, float(), detach() or Tensor()?"
    )
