"""What is compiled does what the function does: ops, programs of ops, training steps.

Each compiled function is called on other values as well: a value that had been frozen
into its program would show.
"""

import ast
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import built_in_calls
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from programs import NAMES, Program, programs, weighted_sum

import tinygrad_edu as tg
from tinygrad_edu.checking import strategies
from tinygrad_edu.checking.strategies import Call
from tinygrad_edu.engine.op import Op

# As they are now: other tests may declare more.
OPS = dict(tg.OPS)

each_style = pytest.mark.parametrize("style", ["readable", "fast"])
each_op = pytest.mark.parametrize("name", OPS)


def profile(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize="CI" in os.environ,
        print_blob=False,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )


def data(x: Any) -> np.ndarray:
    return np.asarray(x.data if isinstance(x, tg.Tensor) else x)


def assert_close(got: Any, wanted: Any) -> None:
    """Of one shape and dtype; floats to 1e-12 of the largest number, or of 1."""
    got, wanted = data(got), data(wanted)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted)
        return
    scale = np.max(np.abs(wanted), initial=1, where=np.isfinite(wanted))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12 * scale)


# --- Ops ------------------------------------------------------------------------------


@st.composite
def calls_with_others(draw: st.DrawFn, op: Op) -> tuple[Call, list[np.ndarray]]:
    """Draw a call, and other values for its inputs."""
    call = draw(built_in_calls.calls(op))
    others = []
    for i, x in enumerate(call.inputs):
        name = op.inputs[0 if op.variadic else i]
        others.append(draw(strategies.arrays(name, op.domain[name], x.shape)))
    return call, built_in_calls.regular(op, others)


def pull_back(call: Call, inputs: list[Any], cotangent: Any) -> Any:
    """Call an op, and leave the gradients in the leaves."""
    y = call.run(inputs)
    if isinstance(y, tg.Tensor) and y.requires_grad:
        y.backward(cotangent)
    return y


def cotangent_of(call: Call, inputs: list[np.ndarray], salt: int) -> np.ndarray:
    rng = np.random.default_rng([call.seed, salt])
    y = np.asarray(call.run(inputs))
    return np.asarray(rng.standard_normal(y.shape), np.result_type(y, np.float16))


def gradients(leaves: list[Any]) -> list[Any]:
    return [x.grad for x in leaves if isinstance(x, tg.Tensor)]


def arrays_in(params: dict[str, Any]) -> list[np.ndarray]:
    """List the arrays of numbers among parameters: a program is given them."""
    values = [x if isinstance(x, tuple) else (x,) for x in params.values()]
    arrays = [x for value in values for x in value if isinstance(x, np.ndarray)]
    return [x for x in arrays if x.dtype.kind != "b"]


def roll(params: dict[str, Any]) -> None:
    """Change the arrays among parameters, in place."""
    for x in arrays_in(params):
        x[...] = np.roll(x, 1)


@each_style
@each_op
def test_an_op_has_the_value_and_the_gradients(name: str, style: str) -> None:
    @profile(10)
    @given(calls_with_others(OPS[name]))
    def check(drawn: tuple[Call, list[np.ndarray]]) -> None:
        call, others = drawn

        def f(inputs: list[Any], cotangent: Any) -> Any:
            return pull_back(call, inputs, cotangent)

        compiled = tg.compile(f, style=style)
        sources = []
        for salt, inputs in enumerate([call.inputs, others]):
            cotangent = cotangent_of(call, inputs, salt)
            leaves, wanted = call.leaves(inputs), call.leaves(inputs)
            assert_close(compiled(leaves, cotangent), f(wanted, cotangent))
            for g, w in zip(gradients(leaves), gradients(wanted), strict=True):
                assert (g is None) == (w is None)
                if g is not None:
                    assert_close(g, w)
            sources.append(compiled.source)
            roll(call.params)
        assert sources[0] is sources[1]  # one program was made, and did for both

    check()


def test_how_many_elements_a_mask_takes_is_refused() -> None:
    x, mask = tg.Tensor([1.0, 2.0], requires_grad=True), np.array([True, False])

    @tg.compile
    def f(x: Any, mask: Any) -> Any:
        return x[mask]

    with pytest.raises(TypeError, match="how many elements a mask takes"):
        f(x, mask)


@pytest.mark.parametrize("view", [np.squeeze, np.flip, np.transpose, np.diagonal])
def test_writing_to_a_view_is_refused(view: Any) -> None:
    w = tg.Tensor(np.ones((1, 3)), requires_grad=True)

    @tg.compile
    def f(a: Any) -> Any:
        part = view(w.data)
        part += a
        return part

    with pytest.raises(TypeError, match="writes to a view of an array"):
        f(np.array(2.0))


# --- Programs of several ops ----------------------------------------------------------


def flat(op: Op) -> Callable[..., Any]:
    return lambda *xs, **params: Call(op, list(xs), params).run(xs)


def gradient_of(
    program: Program, ops: Any, leaves: list[Any], weights: list[Any]
) -> list[tg.Tensor]:
    """Run a program, and leave the gradients of the weighted sum in the leaves."""
    outputs = program.run(ops, leaves, constant=lambda array: array)
    total = weighted_sum(outputs, weights, tg.sum)
    if total.requires_grad:
        total.backward()
    return outputs


@pytest.mark.parametrize("name", NAMES)
def test_a_program_has_the_values_and_the_gradients(name: str) -> None:
    @profile(3)
    @given(programs(OPS[name]), st.sampled_from(["readable", "fast"]))
    def check(program: Program, style: str) -> None:
        ops = {op.name: flat(op) for op, *_ in program.steps}

        def f(leaves: list[Any], weights: list[Any]) -> Any:
            return gradient_of(program, ops, leaves, weights)

        compiled = tg.compile(f, style=style)
        for salt in range(2):
            rng = np.random.default_rng([program.seed, salt])
            inputs = [
                x * (1 - salt * rng.uniform(0, 1 / 64, x.shape)) for x in program.inputs
            ]
            leaves = [tg.Tensor(x, requires_grad=True) for x in inputs]
            wanted = [tg.Tensor(x, requires_grad=True) for x in inputs]
            outputs = [data(y) for y in program.run(ops, wanted)]
            weights = program.weights(outputs, salt)
            got = compiled(leaves, weights)
            for y, w in zip(got, f(wanted, weights), strict=True):
                assert_close(y, w)
            for x, w in zip(leaves, wanted, strict=True):
                assert (x.grad is None) == (w.grad is None)
                if x.grad is not None:
                    assert_close(x.grad, w.grad)

    check()


# --- Training steps -------------------------------------------------------------------


def mse(model: Any, x: Any, y: Any) -> Any:
    return tg.losses.mse(model(x), y)


def mse_and_l2(model: Any, x: Any, y: Any) -> Any:
    return mse(model, x, y) + tg.losses.l2(model.weights, 0.3, 50)


def cross_entropy(model: Any, x: Any, y: Any) -> Any:
    return tg.losses.cross_entropy(model(x), y)


def with_logits(model: Any, x: Any, y: Any) -> Any:
    return tg.losses.cross_entropy_with_logits(model.logits(x), y)


def softmax(model: Any, x: Any, y: Any) -> Any:
    return tg.losses.softmax_cross_entropy(model.logits(x), y)


LOSSES = [mse, mse_and_l2, cross_entropy, with_logits, softmax]
OPTIMISERS: dict[str, Callable[..., Any]] = {
    "SGD": lambda params: tg.optim.SGD(params, lr=0.5),
    "momentum": lambda params: tg.optim.SGD(params, lr=0.1, momentum=0.9),
    "Nesterov": lambda params: tg.optim.SGD(params, 0.1, 0.9, True, weight_decay=0.1),
    "RMSprop": lambda params: tg.optim.RMSprop(params, lr=0.01),
    "Adam": lambda params: tg.optim.Adam(params, lr=0.01),
    "AdamW": lambda params: tg.optim.AdamW(params, lr=0.01, weight_decay=0.1),
}


class Training:
    """A model, its optimiser, and the step that both take."""

    def __init__(self, sizes: list[int], loss: Any, optimiser: str, dtype: Any) -> None:
        self.model = tg.nn.MLP(sizes, rng=sum(sizes), dtype=dtype)
        self.optimiser = OPTIMISERS[optimiser](self.model.parameters())
        self.loss = loss

    def step(self, x: Any, y: Any) -> Any:
        loss = self.loss(self.model, x, y)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss

    def arrays(self) -> list[np.ndarray]:
        """Return the parameters, then the optimiser's state."""
        states = self.optimiser.state.values()
        return [p.data for p in self.model.parameters()] + [
            x for s in states for x in s
        ]


def named(training: Training) -> dict[str, np.ndarray]:
    """Return the parameters, and the optimiser's state, as programs call them."""
    states = training.optimiser.state.items()
    of_state = {f"{k}_{i}": x for k, s in states for i, x in enumerate(s)}
    return {str(p.name): p.data for p in training.model.parameters()} | of_state


def batch(sizes: list[int], n: int, dtype: Any, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, sizes[0]))
    return [x.astype(dtype), rng.dirichlet(np.ones(sizes[-1]), n).astype(dtype)]


sizes_of_mlps = st.lists(st.integers(1, 6), min_size=2, max_size=4)


@each_style
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
# Products in the BLAS may raise this flag for finite numbers, if rarely, with right
# answers (numpy/numpy#24067). So the test asserts that all is finite.
@pytest.mark.filterwarnings(
    "ignore:invalid value encountered in (dot|matmul):RuntimeWarning"
)
def test_training(dtype: Any, loss: Any, optimiser: str, style: str) -> None:
    @profile(5)
    @given(sizes_of_mlps, st.integers(1, 5), st.integers(0, 1000))
    def check(sizes: list[int], n: int, seed: int) -> None:
        mine, plain = (Training(sizes, loss, optimiser, dtype) for _ in range(2))
        compiled = tg.compile(mine.step, style=style)
        own = mine.arrays()
        sources = set()
        for k in range(4):
            x, y = batch(sizes, n, dtype, seed + k)
            if k == 2:  # a schedule
                mine.optimiser.lr = plain.optimiser.lr = mine.optimiser.lr / 3
            got, wanted = compiled(x, y), plain.step(x, y)
            sources.add(compiled.source)
            pairs = zip([data(got), *mine.arrays()], [wanted.data, *plain.arrays()])
            for a, b in pairs:
                assert a.dtype == dtype
                assert np.isfinite(b).all()
                if dtype == np.float64:
                    assert_close(a, b)
                else:
                    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
        assert mine.optimiser.steps == plain.optimiser.steps == 4
        assert all(a is b for a, b in zip(own, mine.arrays(), strict=True))
        assert len(sources) == 1

    check()


@each_style
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_float32_stays_float32_on_the_way(
    loss: Any, optimiser: str, style: str
) -> None:
    """Nothing is computed in float64 and rounded: no float64 is in the source."""
    training = Training([3, 4, 2], loss, optimiser, np.float32)
    compiled = tg.compile(training.step, style=style)
    compiled(*batch([3, 4, 2], 5, np.float32, 0))
    assert "float32" in compiled.source
    assert "float64" not in compiled.source


# --- The source on its own ------------------------------------------------------------

ALONE = """
import pickle, runpy, sys
import numpy as np
sys.modules["tinygrad_edu"] = None
with open(sys.argv[1], "rb") as file:
    cases = pickle.load(file)
for file, calls, written in cases:
    step = runpy.run_path(file)["step"]
    for args, wanted in calls:
        got = step(*args)
        got = got if isinstance(got, tuple) else (got,)
        got = [np.asarray(x) for x in got] + [args[i] for i in written]
        assert len(got) == len(wanted), file
        for x, y in zip(got, wanted):
            assert (x.shape, x.dtype) == (y.shape, y.dtype), file
            scale = np.max(np.abs(y), initial=1) if y.dtype.kind == "f" else 1
            np.testing.assert_allclose(x, y, rtol=0, atol=1e-12 * scale, err_msg=file)
try:
    import tinygrad_edu
except ImportError:
    print(len(cases))
"""


class Cases:
    """Sources on file, with what they are called with and should give."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases: list[Any] = []

    def add(self, source: str, calls: Any, written: Any = ()) -> None:
        file = self.folder / f"program_{len(self.cases)}.py"
        file.write_text(source)
        self.cases.append((str(file), calls, written))

    def run(self) -> None:
        """Run them all in a process that cannot import this package."""
        (self.folder / "cases").write_bytes(pickle.dumps(self.cases))
        args = ["-I", "-W", "error", "-c", ALONE, str(self.folder / "cases")]
        run = subprocess.run([sys.executable, *args], capture_output=True, text=True)
        assert run.stderr == "", run.stderr
        assert run.stdout == f"{len(self.cases)}\n"


@each_style
def test_the_source_of_each_op_runs_on_its_own(style: str, tmp_path: Path) -> None:
    cases = Cases(tmp_path)

    def add(drawn: tuple[Call, list[np.ndarray]]) -> None:
        call, others = drawn
        compiled = tg.compile(
            lambda inputs, cotangent: pull_back(call, inputs, cotangent), style=style
        )
        calls = []
        for salt, inputs in enumerate([call.inputs, others]):
            cotangent, leaves = cotangent_of(call, inputs, salt), call.leaves(inputs)
            y = pull_back(call, leaves, cotangent)
            if any(y is x for x in leaves):
                return  # nothing is computed
            found = [y, *(g for g in gradients(leaves) if g is not None)]
            arrays = [x.copy() for x in arrays_in(call.params)]
            calls.append(([*inputs, cotangent, *arrays], [data(x) for x in found]))
            if not salt:
                compiled(call.leaves(), cotangent)
            roll(call.params)
        cases.add(compiled.source, calls)

    for op in OPS.values():
        profile(3)(given(calls_with_others(op))(add))()
    cases.run()


def parameters_of(source: str) -> list[str]:
    """Name the parameters of the function in a source."""
    (step,) = (f for f in ast.parse(source).body if getattr(f, "name", "") == "step")
    assert isinstance(step, ast.FunctionDef)
    return [parameter.arg for parameter in step.args.args]


def number(optimiser: tg.optim.Optimiser, name: str) -> float:
    """Return an optimiser's number, ``betas[0]`` by the name of ``betas_0``."""
    whole, _, i = name.rpartition("_")
    return (
        getattr(optimiser, whole)[int(i)] if i.isdigit() else getattr(optimiser, name)
    )


@each_style
def test_the_source_of_a_training_step_runs_on_its_own(
    style: str, tmp_path: Path
) -> None:
    cases = Cases(tmp_path)
    sizes = [3, 5, 4]
    for loss in LOSSES:
        for optimiser in OPTIMISERS:
            training, plain = (
                Training(sizes, loss, optimiser, np.float64) for _ in range(2)
            )
            # What the program takes besides x and y, as it stands before the step.
            arrays = {name: x.copy() for name, x in named(plain).items()}
            x, y = batch(sizes, 6, np.float64, 0)
            compiled = tg.compile(training.step, style=style)
            compiled(x, y)
            _, _, *names = parameters_of(compiled.source)
            given = [
                arrays[name] if name in arrays else number(plain.optimiser, name)
                for name in names
            ]
            loss_after = plain.step(x, y).data
            changed = [name for name in names if name in arrays]
            wanted = [loss_after, *(named(plain)[name] for name in changed)]
            written = [2 + names.index(name) for name in changed]
            cases.add(compiled.source, [([x, y, *given], wanted)], written)
    cases.run()
