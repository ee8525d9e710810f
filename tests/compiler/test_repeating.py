"""Readable programs: what repeats is a loop, and computes what its lines did."""

import re
from typing import Any

import numpy as np
import pytest
from counting import calls

import tinygrad_edu as tg
from tinygrad_edu.compiler.writing.repeating import ProgramLine, with_loops
from tinygrad_edu.formulas.naming import Taken

RNG = np.random.default_rng(0)


def leaf(name: str, *shape: int) -> Any:
    return tg.Tensor(RNG.standard_normal(shape) / 2, requires_grad=True, name=name)


def rnn(steps: int) -> Any:
    W, U, b = leaf("W", 3, 4), leaf("U", 4, 4), leaf("b", 4)

    def loss(x: Any, y: Any) -> Any:
        h = tg.tanh(x[0] @ W + b)
        for t in range(1, steps):
            h = tg.tanh(x[t] @ W + h @ U + b)
        return tg.losses.mse(h, y)

    x, y = RNG.standard_normal((steps, 2, 3)), RNG.standard_normal((2, 4))
    return loss, [W, U, b], x, y


def rnn_of_answers(steps: int) -> Any:
    """Each step has a loss, so that backward reads what softmax computed forward."""
    W, U, V = leaf("W", 3, 4), leaf("U", 4, 4), leaf("V", 4, 3)

    def loss(x: Any, y: Any) -> Any:
        h, total = np.zeros((2, 4)), 0
        for t in range(steps):
            h = tg.tanh(x[t] @ W + h @ U)
            total = total + tg.losses.softmax_cross_entropy(h @ V, y[t])
        return total / steps

    y = RNG.dirichlet(np.ones(3), (steps, 2))
    return loss, [W, U, V], RNG.standard_normal((steps, 2, 3)), y


def lstm(steps: int) -> Any:
    W, U = leaf("W", 3, 8), leaf("U", 2, 8)

    def loss(x: Any, y: Any) -> Any:
        h, c = np.zeros((2, 2)), np.zeros((2, 2))
        for t in range(steps):
            z = x[t] @ W + h @ U
            c = tg.sigmoid(z[:, :2]) * c + tg.sigmoid(z[:, 2:4]) * tg.tanh(z[:, 4:6])
            h = tg.sigmoid(z[:, 6:]) * tg.tanh(c)
        return tg.losses.mse(h, y)

    x, y = RNG.standard_normal((steps, 2, 3)), RNG.standard_normal((2, 2))
    return loss, [W, U], x, y


def layers(n: int) -> Any:
    model = tg.nn.MLP([3, *[4] * (n - 1), 2], rng=0, dtype=float)
    x, y = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 2))
    return lambda x, y: tg.losses.mse(model(x), y), list(model.parameters()), x, y


def residual_blocks(n: int) -> Any:
    params = [leaf(f"w{i}", 3, 3) for i in range(n)]

    def loss(x: Any, y: Any) -> Any:
        for w in params:
            x = x + 0.1 * tg.relu(x @ w)
        return tg.losses.mse(x, y)

    return loss, params, RNG.standard_normal((2, 3)), RNG.standard_normal((2, 3))


PROGRAMS = {
    "RNN": rnn,
    "RNN with a loss each step": rnn_of_answers,
    "LSTM": lstm,
    "MLP": layers,
    "residual blocks": residual_blocks,
}


def train(program: Any, optimiser: Any, style: str = "") -> tuple[Any, ...]:
    """Train for some steps; return the losses, the parameters and the source."""
    loss, params, x, y = program
    adapting = optimiser(params, lr=0.05)

    def step(x: Any, y: Any) -> Any:
        adapting.zero_grad()
        value = loss(x, y)
        value.backward()
        adapting.step()
        return value

    before = [p.data.copy() for p in params]
    run = tg.compile(step, style=style) if style else step
    losses = [float(run(x, y)) for _ in range(3)]
    after = [p.data.copy() for p in params]
    for p, old in zip(params, before):
        p.data = old
        p.grad = None
    return losses, after, run.source if style else ""


@pytest.mark.parametrize("optimiser", [tg.optim.SGD, tg.optim.Adam])
@pytest.mark.parametrize("n", [5, 16])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_loops_trains_as_the_function_does(
    name: str, n: int, optimiser: Any
) -> None:
    program = PROGRAMS[name](n)
    losses, wanted, _ = train(program, optimiser)
    got_losses, got, source = train(program, optimiser, "readable")
    assert n < 9 or "\n    for " in source
    np.testing.assert_allclose(got_losses, losses, rtol=1e-9)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def body(program: Any) -> list[str]:
    """Return the lines below a program's docstring, without their comments."""
    _, _, source = train(program, tg.optim.SGD, "readable")
    code = re.sub(r" *#.*", "", source.split('"""\n')[1])
    return [line[4:] for line in code.splitlines() if line]


def test_a_recurrent_network_reads_as_one_writes_it() -> None:
    assert body(rnn(16)) == [
        "z, a, delta = {}, {}, {}",
        "z[1] = x[0] @ W + b",
        "a[1] = np.tanh(z[1])",
        "for t in range(2, 17):",
        "    z[t] = x[t - 1] @ W + a[t - 1] @ U + b",
        "    a[t] = np.tanh(z[t])",
        "t47 = a[16] - y",
        "loss = 0.25 * np.vdot(t47, t47)",
        "delta[16] = 0.5 * t47 * (1 - a[16] * a[16])",
        "for t in reversed(range(1, 16)):",
        "    delta[t] = delta[t + 1] @ U.T * (1 - a[t] * a[t])",
        "dU = sum(a[t - 1].T @ delta[t] for t in reversed(range(2, 17)))",
        "db = sum(delta[t].sum(axis=0) for t in reversed(range(1, 17)))",
        "dW = sum(x[t - 1].T @ delta[t] for t in reversed(range(1, 17)))",
        "W -= lr * dW",
        "U -= lr * dU",
        "b -= lr * db",
        "return loss",
    ]


def test_layers_are_counted_as_in_the_textbook() -> None:
    lines = body(layers(8))
    weights = ", ".join(f"{i}: W{i}" for i in range(1, 9))
    assert lines[0] == f"W = {{{weights}}}"
    assert lines[lines.index("for l in range(2, 9):") + 1 :][:3] == [
        "    z[l] = a[l - 1] @ W[l].T + b[l]",
        '    with np.errstate(over="ignore"):',
        "        a[l] = 1 / (1 + np.exp(-z[l]))",
    ]
    assert lines[lines.index("for l in reversed(range(2, 8)):") + 1 :][:3] == [
        "    delta[l] = delta[l + 1] @ W[l + 1] * (a[l] * (1 - a[l]))",
        "    dW[l] = delta[l].T @ a[l - 1]",
        "    db[l] = delta[l].sum(axis=0)",
    ]
    assert lines[-5:-1] == [
        "for l in range(1, 9):",
        "    W[l] -= lr * dW[l]",
        "for l in range(1, 9):",
        "    b[l] -= lr * db[l]",
    ]


@pytest.mark.parametrize("program", [layers(3), layers(4), rnn(3), rnn(4)])
def test_what_is_short_is_no_loop(program: Any) -> None:
    """Three or four layers read better as they are."""
    lines = body(program)
    assert lines[0].startswith("z1 = ")
    assert not any("for " in line for line in lines)


@pytest.mark.parametrize("name", PROGRAMS)
def test_twice_as_many_turns_are_as_many_lines(name: str) -> None:
    short, long = (len(body(PROGRAMS[name](n))) for n in (12, 24))
    longer_lists = {"MLP": 2, "residual blocks": 1}  # of the parameters
    assert long - short == longer_lists.get(name, 0)


def long_loop(n: int) -> list[str]:
    return [
        line
        for i in range(1, n)
        for line in (f"z{i} = f(x[{i}], z{i - 1})", f"t{5 * i} = g(z{i}, t{5 * i - 5})")
    ]


def many_loops(n: int) -> list[str]:
    """Each loop is one of its own, and what it computes is read much later."""
    numbers = range(1, 8 * n)
    return [
        *(f"t{i * i} = t{i * i - i % 8} + x[{i % 8}, {i // 8}]" for i in numbers),
        *(f"z{i} = t{i * i} * {i // 8 % 7}" for i in numbers),
    ]


@pytest.mark.parametrize("write", [long_loop, many_loops])
def test_twice_the_lines_are_twice_the_work(write: Any) -> None:
    work = []
    for n in (100, 200, 400):
        lines = write(n)
        names = [line.split(" = ")[0] for line in lines]
        terms = tuple(f"{name} * x" for name in names)
        program = [
            *map(ProgramLine, lines),
            ProgramLine("s = ", terms=terms),
            ProgramLine("return s"),
        ]
        work.append(
            calls(with_loops, program, ["x", "z0", "t0"], names, Taken(["f", "g"]))
        )
    first, second = np.diff(work)
    assert second <= 2.1 * first


@pytest.mark.parametrize("alike", [True, False])
def test_twice_the_terms_are_twice_the_work(alike: bool) -> None:
    def f(n: int) -> Any:
        order = np.arange(n) if alike else np.random.default_rng(0).permutation(n)
        pairs = list(enumerate(order.tolist()))
        return lambda x: sum(x[i] * x[j] for i, j in pairs)

    x = np.ones((400, 3))
    sizes = 50, 100, 200, 400  # the first call of all does more
    work = [calls(tg.compile(f(n), style="readable"), x) for n in sizes]
    _, first, second = np.diff(work)
    assert second <= 2.1 * first


# --- Lines, whatever they compute -----------------------------------------------------


def folded(lines: list[str], given: str, terms: tuple[str, ...] = ()) -> list[str]:
    """Write lines with loops; the terms are those of a sum that is called s."""
    sums = [ProgramLine("s = ", terms=terms)] * bool(terms)
    old = [*map(ProgramLine, lines), *sums, ProgramLine("return y")]
    computed = ["s", "y", *(line.split(" = ")[0] for line in lines if " = " in line)]
    return [code for code, _ in with_loops(old, given.split(), computed, Taken())][:-1]


TURNS = range(1, 10)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("z{i} = x[{i}, 2] * 0.5", "z[t] = x[t, 2] * 0.5"),
        ("z{i} = x[{two}:{two_on}]", "z[t] = x[2 * t:2 * t + 1]"),
        ("z{i} = x[{left}]", "z[t] = x[20 - t]"),
        ("z{i} = f(x, n={i}, z9={i})", "z[t] = f(x, n=t, z9=t)"),
        ("z{i} = x**{i} + {on} * x", "z[t] = x**t + (t + 1) * x"),
        ("z{i} = x**-{on}", "z[t] = x**-(t + 1)"),
        ("z{i} = 'z{i}' + x", None),
        ("z{i} = x * 0.{i}", None),
        ("z{i} = x * {i}000000000", None),
        ("z{i} = x[{square}]", None),
        ("z{two} = x[{i}]", "z2 = x[t]"),
    ],
)
def test_numbers_that_grow_are_counted(line: str, wanted: str | None) -> None:
    lines = [
        line.format(
            i=i, on=i + 1, two=2 * i, two_on=2 * i + 1, left=20 - i, square=i * i
        )
        for i in TURNS
    ]
    if wanted is None:
        assert folded(lines, "x") == lines
    else:
        assert folded(lines, "x")[-1] == f"    {wanted}"


@pytest.mark.parametrize(("count", "is_loop"), [(31, True), (65, False)])
def test_a_line_of_very_many_numbers_is_in_no_loop(count: int, is_loop: bool) -> None:
    fixed = ", ".join(map(str, range(count)))
    lines = [f"z{i} = f(x[{i}], {fixed})" for i in TURNS]
    assert (folded(lines, "x") != lines) == is_loop


def test_names_that_are_taken_are_left_alone() -> None:
    """Here x, z, l and t are the user's own."""
    lines = [f"z{i} = x{i} * z + t" for i in TURNS]
    xs = " ".join(f"x{i}" for i in TURNS)
    assert folded(lines, f"{xs} x z t l")[-3:] == [
        "zs = {}",
        "for l_2 in range(1, 10):",
        "    zs[l_2] = xs[l_2] * z + t",
    ]


def test_loops_have_the_same_counter_where_t_is_taken() -> None:
    lines = [f"{z}{i} = {z}{i - 1} * t" for z in "zu" for i in range(2, 12)]
    new = folded(["z1 = t", "u1 = t", *lines, "y = z5 + u5"], "t")
    assert new.count("for t_2 in range(2, 12):") == 2


def test_a_list_of_what_is_given_does_not_grow() -> None:
    """As that of the input a0 and the activations a1, a2, ...."""
    lines = [f"a{i} = f(a{i - 1})" for i in range(1, 12)]
    assert folded(lines, "a0")[0] == "a = {0: a0}"
    lines = [f"z{i} = f(x[{i}]) + a{i}" for i in range(9)]
    given = " ".join(f"a{i}" for i in range(9))
    assert folded(lines, f"{given} x")[0].startswith("a = [a0, a1, ")


def test_other_digits_than_0_to_9_are_no_numbers() -> None:
    lines = [f"z{i} = f(x{i}, x1\N{ARABIC-INDIC DIGIT THREE})" for i in range(11, 20)]
    given = " ".join(f"x{i}" for i in range(11, 20))
    new = folded(lines, f"{given} x1\N{ARABIC-INDIC DIGIT THREE}")
    assert new[-1].endswith("= f(x[l], x1\N{ARABIC-INDIC DIGIT THREE})")


def test_what_is_read_in_its_own_turn_or_the_next_needs_no_index() -> None:
    lines = [f"t{i} = t{i - 1} * x" for i in range(2, 12)]
    new = folded(["t1 = f(x)", *lines, "y = t11"], "x")
    assert new == ["t1 = f(x)", "for _ in range(10):", "    t1 = t1 * x", "y = t1"]


def test_what_is_read_later_is_kept() -> None:
    lines = [f"t{i} = t{i - 1} * x" for i in range(2, 12)]
    new = folded(["t1 = f(x)", *lines, "y = t11 + t5 + t1"], "x")
    assert new == [
        "t1 = {}",
        "t1[0] = f(x)",
        "for t in range(1, 11):",
        "    t1[t] = t1[t - 1] * x",
        "y = t1[10] + t1[4] + t1[0]",
    ]


def test_a_turn_that_reads_something_else_is_left_out() -> None:
    """The lines look the same; but t4 and t7 have no place among the others."""
    many = [f"t{10 * i} = f(x[{i}])" for i in TURNS]
    ones = [f"z{i} = t{10 * i} * x" for i in TURNS]
    ones[0], ones[8] = "z1 = t4 * x", "z9 = t7 * x"
    new = folded(["t4 = f(x)", "t7 = g(x)", *many, *ones], "x")
    assert new[-4:] == [
        "z[1] = t4 * x",
        "for t in range(2, 9):",
        "    z[t] = t10[t] * x",
        "z[9] = t7 * x",
    ]


def test_a_sum_of_few_terms_or_of_unlike_ones_is_written_out() -> None:
    few = tuple(f"a{i} * b{i}" for i in range(1, 6))
    given = " ".join(f"{letter}{i}" for letter in "ab" for i in range(1, 10))
    assert folded([], given, few) == [f"s = {' + '.join(few)}"]
    odd = tuple(f"a{i * i % 10} * b{i}" for i in TURNS)
    assert folded([], given, odd) == [
        f"s = {' + '.join(odd[:8])}",
        f"s = s + {' + '.join(odd[8:])}",
    ]


def test_a_sum_of_many_terms_is_a_loop() -> None:
    terms = ("0", *(f"f(x, {i}, a)" for i in TURNS), "b")
    assert folded([], "x a b", terms) == [
        "s = sum(f(x, t, a) for t in range(1, 10)) + b"
    ]
    long = tuple(f"f(x, {i}, {'a' * 50})" for i in TURNS)
    assert folded([], "x", long) == [
        "s = sum(",
        f"    f(x, t, {'a' * 50})",
        "    for t in range(1, 10)",
        ")",
    ]


@pytest.mark.parametrize("seed", range(60))
def test_random_lines_compute_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines: list[str] = []
    names = [f"w{i}" for i in range(20)]
    given = list(names)
    for letters in ("z", "ta", "tat", "w"):
        turns, stride = rng.integers(3, 12), rng.choice([1, 3])
        recipes = [rng.integers(0, 5, 3) for _ in letters]
        first = {letter: 100 * len(lines) + rng.integers(9) for letter in letters}
        for turn in range(turns):
            for n, (letter, recipe) in enumerate(zip(letters, recipes)):
                odd = rng.random() < 0.05  # an irregular line, now and then
                number = first[letter] + turn * stride + 1000 * n * (letters == "tat")
                back = [1, len(letters), 2 * len(letters), 3, 5][recipe[0]]
                read = names[-back - odd], f"w{(turn + recipe[1] + odd) % 20}"
                name = f"{letter}{number}"
                lines.append(
                    f"{name} = ({read[0]} * {turn + recipe[2]} + {read[1]}) % 97"
                )
                names.append(name)
    answers = rng.choice(names[20:], 3)
    old = [*map(ProgramLine, lines), ProgramLine(f"return {', '.join(answers)}")]
    new = [code for code, _ in with_loops(old, given, names[20:], Taken())]
    values = dict(zip(given, rng.integers(0, 97, 20).tolist()))
    results = []
    for code in ([line.code for line in old], new):
        scope: dict[str, Any] = {}
        body = "".join(f"    {line}\n" for line in code)
        exec(f"def f({', '.join(given)}):\n{body}", scope)
        results.append(scope["f"](**values))
    assert results[0] == results[1]
