"""Random training steps that Hypothesis thinks of, as Python source.

A step uses parameters `w` and `v`, their optimisers `o` and `p`, arrays `a` and `b` and
a number `k` from around it. It has aliases, views, copies, writes into arrays of its
own, several backward passes and updates in every way. Between calls of it, what it
uses is changed. All of it is text, so a failure can be read, and run again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

import tinygrad_edu as tg

__all__ = ["Step", "World", "steps"]

SHAPES = {"w": (2, 3), "v": (3,), "a": (2, 3), "b": (3,), "x": (2, 3), "y": (3,)}

NEW = [  # a new value of one or two old ones
    *("np.tanh({0})", "tg.sigmoid({0})", "np.exp(-({0} * {0}))", "-{0}", "{0} ** 2"),
    *("np.sqrt({0} * {0} + 1)", "{0} * 0.5", "1 - {0}", "{0} / 3", "k * {0}"),
    *("{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / (1 + {1} * {1})", "{0} @ {1}"),
    *("{0} @ {1}.T", "np.sum({0}, axis=0)", "{0}.mean()", "{0}.sum(axis=-1)"),
    *("np.mean({0}, axis=-1, keepdims=True)", "np.where({0} > 0.1, {1}, {0})"),
    *("np.concatenate([{0}, {1}])", "np.stack([{0}, {0}])", "np.clip({0}, -1, 1)"),
    *("+{0}", "{0} * 1", "{0} + 0", "{0}.astype({0}.dtype)"),
]
VIEWS = ["{0}", "{0}[0]", "{0}[..., :2]", "{0}[::-1]", "{0}.T", "{0}.reshape(-1)"]
VIEWS += ["np.ravel({0})", "{0}[None]", "np.squeeze({0})", "np.atleast_1d({0})"]
WRITES = ["{0} += {1}", "{0} *= 0.5", "{0}[0] = {1}", "{0}[...] = 0.25", "{0} -= {1}"]
WRITES += ["np.multiply({0}, 0.5, out={0})", "np.add({0}, {1}, out={0})"]
NAMES = {"np": np, "tg": tg, "k": 2.0}
OUTSIDE = ["a[...] = 0.1 * x", "b[0] = 2", "x *= 2"]
READS = ["{p}.data", "{p}.data[0]", "{p}.data.copy()", "{p}.detach()"]
UPDATES = [
    "{p}.data = {p}.data - 0.1 * {array}",
    "{p}.data = {p}.data * 0.9",
    "{p}.data -= 0.1 * {array}",
]
OF_GRADIENTS = [
    "q = {p}; with tg.no_grad(): q -= 0.1 * {p}.grad",
    "{p}.data = {p}.data - 0.1 * {p}.grad.data",
    "{p}.grad = {p}.grad * 0.5",
    "{o}.step()",
    "{o}.step(); {o}.lr = {o}.lr * 0.9",
]
BETWEEN = [
    *("pass", "a[...] = a * 0.5", "a[0] = b", "b += 0.1", "b[:2] = 0.5"),
    *("w.data = w.data * 0.5", "w.data[0] += 0.1", "v.data = w.data[0]"),
    *("o.lr = o.lr * 0.5", "p.lr = 0.02", "set_k(k + 1)", "w.grad = None"),
]
ARGUMENTS = ["fresh"] * 5 + ["a, b", "w.data, v.data", "w.data, w.data[1]", "x, x[0]"]


@dataclass
class Local:
    """What is known of a variable, besides its name."""

    shape: tuple[int, ...]
    needs: frozenset[str] = frozenset()  # the parameters that it is computed from
    is_tensor: bool = False
    is_own: bool = True  # it may be written to
    is_whole: bool = True  # nothing that its gradient needs has changed


@dataclass
class Step:
    """The lines of a step, and what happens between four calls of it."""

    lines: list[str]
    between: list[str]
    arguments: list[str]
    dtype: str
    seed: int
    keeps_gradients: bool = True

    @property
    def source(self) -> str:
        body = "\n        ".join(self.lines)
        return (
            "def make(w, v, a, b, o, p, k):\n"
            f"    def step(x, y):\n        {body}\n\n"
            "    def set_k(value):\n        nonlocal k\n        k = value\n\n"
            "    return step, set_k\n"
        )

    def __str__(self) -> str:
        calls = [f"step({arguments})" for arguments in self.arguments]
        between = [line for pair in zip(calls, [*self.between, ""]) for line in pair]
        return f"{self.source}\n# {self.dtype}, seed {self.seed}\n" + "\n".join(between)


@dataclass
class Writer:
    """Writes a step, line by line."""

    draw: st.DrawFn
    lines: list[str] = field(default_factory=list)
    locals: dict[str, Local] = field(default_factory=dict)
    with_gradient: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name, shape in SHAPES.items():
            is_tensor = name in "wv"
            needs = frozenset(name if is_tensor else "")
            self.locals[name] = Local(shape, needs, is_tensor, is_own=False)

    def name(self, *conditions: str) -> str | None:
        """Draw a variable that meets conditions."""
        names = [
            name
            for name, local in self.locals.items()
            if all(getattr(local, condition) for condition in conditions)
        ]
        return self.draw(st.sampled_from(names)) if names else None

    def array(self, fits: tuple[int, ...]) -> str | None:
        """Draw an array that broadcasts to a shape."""
        names = [
            name
            for name, local in self.locals.items()
            if not local.is_tensor and broadcasts(local.shape, fits)
        ]
        return self.draw(st.sampled_from(names)) if names else None

    def compute(self, forms: list[str], is_view: bool = False) -> None:
        """Give a new name to a value of old ones."""
        names = [self.draw(st.sampled_from([*self.locals])) for _ in range(2)]
        form = self.draw(st.sampled_from(forms))
        text = form.format(*names)
        used = [self.locals[name] for name in names[: 1 + ("{1}" in form)]]
        shape = shape_of(form, *(x.shape for x in used))
        if shape is None or int(np.prod(shape)) > 30:
            return
        self.add(
            text,
            Local(
                shape,
                frozenset().union(*(x.needs for x in used)),
                any(x.is_tensor for x in used),
                all(x.is_own for x in used) if is_view else True,
                all(x.is_whole for x in used),
            ),
        )

    def add(self, text: str, local: Local) -> None:
        name = f"t{len(self.locals)}"
        self.lines.append(f"{name} = {text}")
        self.locals[name] = local

    def changed(self) -> None:
        """Say that what was computed cannot be differentiated any more."""
        for name, local in self.locals.items():
            local.is_whole = local.is_whole and not (local.is_tensor and name[0] == "t")

    # --- The kinds of lines -----------------------------------------------------------

    def new(self) -> None:
        self.compute(NEW)

    def view(self) -> None:
        self.compute(VIEWS, is_view=True)

    def read(self) -> None:
        p = self.draw(st.sampled_from("wv"))
        form = self.draw(st.sampled_from(READS))
        shape = SHAPES[p][1:] if "[0]" in form else SHAPES[p]
        self.add(
            form.format(p=p), Local(shape, is_tensor="detach" in form, is_own=False)
        )

    def write(self) -> None:
        name = self.name("is_own")
        if name is None:
            return
        form = self.draw(st.sampled_from(WRITES))
        target = self.locals[name]
        shape = target.shape[1:] if "[0]" in form else target.shape
        if ("[" in form or "out" in form) and (target.is_tensor or not target.shape):
            return
        other = self.array(shape)
        if other is not None:
            self.lines.append(form.format(name, other))
            self.changed()

    def write_outside(self) -> None:
        self.lines.append(self.draw(st.sampled_from(OUTSIDE)))
        self.changed()

    def backward(self) -> None:
        name = self.name("is_tensor", "needs", "is_whole")
        if name is not None:
            self.lines.append(f"np.sum({name} * 0.1).backward(retain_graph=True)")
            self.with_gradient |= self.locals[name].needs

    def update(self) -> None:
        p = self.draw(st.sampled_from("wv"))
        forms = UPDATES + 2 * OF_GRADIENTS * (p in self.with_gradient)
        form = self.draw(st.sampled_from(forms))
        array, o = self.array(SHAPES[p]), {"w": "o", "v": "p"}[p]
        self.lines += form.format(p=p, o=o, array=array).split("; ")
        self.changed()


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def shape_of(form: str, *shapes: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of a value, by NumPy; None if the shapes do not go together."""
    names = {f"_{i}": np.ones(shape) for i, shape in enumerate(shapes)}
    try:
        return np.shape(eval(form.format(*names), NAMES | names))
    except (ValueError, IndexError):
        return None


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Draw a step."""
    writer = Writer(draw)
    kinds = [writer.new] * 5 + [writer.view] * 3 + [writer.write] * 2
    kinds += [writer.read, writer.backward, writer.update]
    trains = draw(st.booleans())
    if trains:
        writer.lines += ["o.zero_grad()", "p.zero_grad()"]
    for _ in range(draw(st.integers(2, 14))):
        draw(st.sampled_from(kinds))()
    if draw(st.integers(0, 9)) == 9:
        writer.write_outside()
    if not trains:  # gradients are accumulated from call to call
        writer.lines = [line for line in writer.lines if ".step()" not in line]
    mine = [name for name in writer.locals if name[0] == "t"] or ["w"]
    answer = draw(st.lists(st.sampled_from(mine), min_size=1, max_size=4))
    writer.lines.append(f"return {', '.join(answer)},")
    return Step(
        writer.lines,
        [draw(st.sampled_from(BETWEEN)) for _ in range(3)],
        ["fresh", *(draw(st.sampled_from(ARGUMENTS)) for _ in range(3))],
        draw(st.sampled_from(["float64", "float64", "float32"])),
        draw(st.integers(0, 2**16)),
        not any(".step()" in line for line in writer.lines),
    )


class World:
    """What a step uses, and the step, made of its source."""

    def __init__(self, step: Step, file: str) -> None:
        self.rng = np.random.default_rng(step.seed)
        self.dtype = step.dtype
        names = {"np": np, "tg": tg, "__name__": "random_step"}
        exec(compile(step.source, file, "exec"), names)
        self.names: dict[str, object] = {n: self.random(SHAPES[n]) for n in "ab"}
        for name in "wv":
            self.names[name] = tg.Tensor(self.random(SHAPES[name]), requires_grad=True)
        self.names["o"] = tg.optim.SGD([self.names["w"]], lr=0.1, momentum=0.9)
        # A large eps: of a gradient that is 0 but for rounding Adam makes a whole step.
        self.names["p"] = tg.optim.Adam([self.names["v"]], lr=0.1, eps=1e-3)
        self.names["k"] = 2.0
        make = names["make"]
        self.step, self.names["set_k"] = make(**self.names)

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(self.dtype)

    def draw(self, arguments: str) -> None:
        """Draw new arguments, or take what `arguments` names."""
        fresh = tuple(self.random(SHAPES[name]) for name in "xy")
        taken = fresh if arguments == "fresh" else eval(arguments, {}, self.names)
        self.names |= dict(zip("xy", taken))

    def call(self, step: Callable[..., object]) -> object:
        return step(self.names["x"], self.names["y"])

    def change(self, line: str) -> None:
        exec(line, {}, self.names)

    def held(self, with_gradients: bool) -> list[object]:
        """List what a call may change."""
        found = [self.names[name] for name in "abxywvop"]
        parameters = [self.names[name] for name in "wv"]
        return found + [p.grad for p in parameters if with_gradients]
