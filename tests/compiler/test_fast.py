"""The fast style, as it is written: numbers, views, memory that is used again."""

import re
import textwrap
from typing import Any

import numpy as np
import pytest
from program_builder import step_of

import tinygrad_edu as tg
from tinygrad_edu.compiler.program import Program, Variable
from tinygrad_edu.compiler.recording.recorder import Recording
from tinygrad_edu.compiler.writing import fast
from tinygrad_edu.compiler.writing.fast import Fast

X, M, S = np.arange(1.0, 4.0), np.arange(1.0, 7.0).reshape(2, 3), np.eye(3) + 1.0
SINGLE = np.arange(4, dtype=np.float32)


def written(f: Any, *args: Any) -> Fast:
    """Write down what is recorded, without the passes that change it first."""
    return Fast(Recording(f, args, {}).program)


def used_again(x: Any) -> Any:
    a = np.sin(x)
    b = np.cos(a)
    c = np.exp(a + b)
    return np.sum(np.tan(c) + c)


def of_other_shapes(m: Any) -> Any:
    a = np.sum(np.sin(m))
    b = np.sum(np.cos(m.T))
    return a + b + np.sum(np.tan(m)) + np.sum(m > 2)


def read_once_more(x: Any) -> Any:
    a = np.sin(x)
    b = a.reshape(1, 3)
    c = np.cos(x)
    return b * 2.0 + c


def an_answer_is_no_buffer(x: Any) -> Any:
    a = np.sin(x)
    return np.reshape(a, (3, 1)), a * 2.0


def used_twice(a: Any, b: Any, x: Any) -> Any:
    k = a * b
    return x * k, x + k, a - b


def of_two_precisions(x: Any, y: Any) -> Any:
    return x * 2.0, y * 2.0, y + 2, x + 0.1, x + 0.1, x + True


PROGRAMS = [
    (
        lambda a, b: (a - (b - 1), a - b - 1, (a * b) ** 2, -(a**2.0), (-a) ** b),
        (3.0, 2.0),
        """
        return a - (b - 1), a - b - 1, (a * b)**2, -a**2.0, (-a)**b
        """,
    ),
    (
        lambda a, b: (-(a + b), a + -2.0, a * -2.0, -2.0 * a, a / (b * 2), (a**b) ** 2),
        (3.0, 2.0),
        """
        return -(a + b), a + (-2.0), a * (-2.0), -2.0 * a, a / (b * 2), (a**b)**2
        """,
    ),
    (
        lambda x: (np.sum(x) < np.max(x)) == (np.min(x) < 2.0),
        (X,),
        """
        t1 = np.sum(x)
        t2 = np.max(x)
        t3 = t1 < t2
        t4 = np.min(x)
        t5 = t4 < 2.0
        y = t3 == t5
        return y
        """,
    ),
    (
        used_twice,
        (3.0, 2.0, X),
        """
        k1 = empty((), np.float64)

        t1 = a * b
        k1[()] = t1
        y1 = multiply(x, k1)
        y2 = add(x, k1)
        return y1, y2, a - b
        """,
    ),
    (
        lambda x, a: (
            np.multiply(np.sum(x), [1.0, 2.0]),
            np.add(a, [1.0, 2.0]),
        ),
        (X, 3.0),
        """
        t1 = np.sum(x)
        y1 = multiply(t1, [1.0, 2.0])
        y2 = add(a, [1.0, 2.0])
        return y1, y2
        """,
    ),
    (
        lambda x: np.reshape(np.sum(x), (1,)),
        (X,),
        """
        t1 = np.sum(x)
        y = t1.reshape(1,)
        return y.copy()
        """,
    ),
    (
        lambda x: (np.dot(np.sum(x), x), np.dot(x, np.sum(x)), np.dot(x, x)),
        (X,),
        """
        t1 = np.sum(x)
        y1 = dot(t1, x)
        t2 = np.sum(x)
        y2 = x.dot(t2)
        y3 = x.dot(x)
        return y1, y2, y3
        """,
    ),
    (
        lambda x, t: (np.sum(np.dot(np.sum(x), x)), np.sum(np.dot(t, x))),
        (X, np.ones((2, 2, 3))),
        """
        t3 = empty((2, 2), np.float64)

        t1 = np.sum(x)
        t2 = dot(t1, x)
        y1 = np.sum(t2)
        t.dot(x, t3)
        y2 = np.sum(t3)
        return y1, y2
        """,
    ),
    (
        lambda m: (np.sum(np.dot(m, m.T)), np.sum(np.matmul(m, m.T))),
        (M,),
        """
        t2 = empty((2, 2), np.float64)

        m.dot(m.T, t2)
        y1 = np.sum(t2)
        matmul(m, m.T, t2)
        y2 = np.sum(t2)
        return y1, y2
        """,
    ),
    (
        lambda x: x.astype(np.float32),
        (X,),
        """
        y = x.astype(np.float32)
        return y
        """,
    ),
    (
        lambda m: (np.sin(m)[0], np.sin(m.T), m.T, m[0]),
        (M,),
        """
        t1 = empty((2, 3), np.float64)
        y1 = t1[0]

        sin(m, t1)
        y2 = sin(m.T)
        y4 = m[0]
        return y1.copy(), y2, m.T.copy(), y4.copy()
        """,
    ),
    (
        used_again,
        (X,),
        """
        t1 = empty((3,), np.float64)
        t2 = empty((3,), np.float64)

        sin(x, t1)
        cos(t1, t2)
        add(t1, t2, t1)
        exp(t1, t1)
        tan(t1, t2)
        add(t2, t1, t2)
        y = np.sum(t2)
        return y
        """,
    ),
    (
        of_other_shapes,
        (M,),
        """
        t1 = empty((2, 3), np.float64)
        t4 = t1.reshape((3, 2))
        t10 = empty((2, 3), np.bool_)
        c1 = np.array(2.0, np.float64)

        sin(m, t1)
        t2 = np.sum(t1)
        cos(m.T, t4)
        t5 = np.sum(t4)
        t6 = t2 + t5
        tan(m, t1)
        t8 = np.sum(t1)
        t9 = t6 + t8
        greater(m, c1, t10)
        t11 = np.sum(t10)
        y = t9 + t11
        return y
        """,
    ),
    (
        read_once_more,
        (X,),
        """
        t1 = empty((3,), np.float64)
        t2 = t1.reshape(1, 3)
        t3 = empty((3,), np.float64)
        t4 = empty((1, 3), np.float64)
        c1 = np.array(2.0, np.float64)

        sin(x, t1)
        cos(x, t3)
        multiply(t2, c1, t4)
        y = add(t4, t3)
        return y
        """,
    ),
    (
        an_answer_is_no_buffer,
        (X,),
        """
        t1 = empty((3,), np.float64)
        y1 = t1.reshape(3, 1)
        c1 = np.array(2.0, np.float64)

        sin(x, t1)
        y2 = multiply(t1, c1)
        return y1.copy(), y2
        """,
    ),
    (
        of_two_precisions,
        (X, SINGLE),
        """
        c1 = np.array(2.0, np.float64)
        c2 = np.array(2.0, np.float32)
        c3 = np.array(0.1, np.float64)

        y1 = multiply(x, c1)
        y2 = multiply(y, c2)
        y3 = add(y, c2)
        y4 = add(x, c3)
        y5 = add(x, c3)
        y6 = add(x, True)
        return y1, y2, y3, y4, y5, y6
        """,
    ),
    (
        lambda m: (
            m * np.sum(m, axis=1, keepdims=True),
            np.sum(np.sin(m), axis=0) * 2.0,
            np.sum(np.maximum(np.sin(m), np.minimum(m, 0.5)), axis=(0, 1)),
            np.stack([np.sum(m), np.max(m)]),
        ),
        (M,),
        """
        t1 = empty((2, 1), np.float64)
        t2 = empty((2, 3), np.float64)
        t3 = empty((3,), np.float64)
        c1 = np.array(2.0, np.float64)
        t5 = empty((2, 3), np.float64)
        c2 = np.array(0.5, np.float64)

        add.reduce(m, 1, None, t1, True)
        y1 = multiply(m, t1)
        sin(m, t2)
        add.reduce(t2, 0, None, t3)
        y2 = multiply(t3, c1)
        sin(m, t2)
        minimum(m, c2, out=t5)
        maximum(t2, t5, out=t2)
        y3 = np.sum(t2, axis=(0, 1))
        t7 = np.sum(m)
        t8 = np.max(m)
        y4 = stack([t7, t8])
        return y1, y2, y3, y4
        """,
    ),
    (
        lambda sin, x: np.sin(sin) + np.linalg.inv(x) + np.abs(x),
        (S, S),
        """
        t1 = empty((3, 3), np.float64)
        t4 = empty((3, 3), np.float64)

        np.sin(sin, t1)
        t2 = np.linalg.inv(x)
        add(t1, t2, t1)
        absolute(x, t4)
        y = add(t1, t4)
        return y
        """,
    ),
    (
        lambda x: (x[[0, 2]], np.sum(np.sin(x) > 0.5), np.sum(x.astype(np.float32))),
        (X,),
        """
        t1 = empty((3,), np.float64)
        t2 = empty((3,), np.bool_)
        c1 = np.array(0.5, np.float64)
        t3 = empty((3,), np.float32)

        y1 = x[[0, 2]]
        sin(x, t1)
        greater(t1, c1, t2)
        y2 = np.sum(t2)
        t3[...] = x
        y3 = np.sum(t3)
        return y1.copy(), y2, y3
        """,
    ),
    (
        lambda x: np.sin(np.transpose(x, (1, 0, 2))) + np.cos(x.transpose(1, 0, 2)),
        (np.ones((2, 2, 3)),),
        """
        t2 = empty((2, 2, 3), np.float64)
        t4 = empty((2, 2, 3), np.float64)

        t1 = x.transpose((1, 0, 2))
        sin(t1, t2)
        t3 = x.transpose((1, 0, 2))
        cos(t3, t4)
        y = add(t2, t4)
        return y
        """,
    ),
    (lambda x: None, (X,), "return None"),
]


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, without what all of them are indented by."""
    return textwrap.dedent(text).strip().splitlines()


def lines_around(program: Fast) -> list[str]:
    """Return the lines between the imports and the function, and those in it."""
    setup, _, body = re.split(r"\n\n\n(def step.*)\n", program.source)
    return lines_of("\n".join(setup.splitlines()[2:]) + "\n\n" + textwrap.dedent(body))


@pytest.mark.parametrize(("f", "args", "text"), PROGRAMS)
def test_a_program_reads_like_this(f: Any, args: Any, text: str) -> None:
    program = written(f, *args)
    assert lines_around(program) == lines_of(text)
    step = step_of(program)
    for _ in range(2):  # nothing is left behind in its memory
        answers, wanted = step(*args), f(*args)
        answers = answers if isinstance(answers, tuple) else (answers,)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for y, right in zip(answers, wanted, strict=True):
            np.testing.assert_array_equal(y, right, strict=right is not None)


def training() -> Fast:
    w = tg.Tensor(np.ones(3), requires_grad=True, name="w")
    optimiser = tg.optim.SGD([w], 0.5)

    def step(x: Any, y: Any) -> Any:
        loss = tg.losses.mse(tg.exp(x @ w), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    return written(step, M, np.ones(2))


STEP = """
    matmul(x, w, t1)
    exp(t1, t1)
    subtract(t1, y, t3)
    t4 = vdot(t3, t3)
    loss = t4 * 0.25
    multiply(c1, t3, dt3)
    multiply(dt3, t1, dt1)
    matmul(x.T, dt1, dw)
    k1[()] = lr
    multiply(k1, dw, dw)
    subtract(w, dw, w)
"""
MEMORY = """
    t1 = empty((2,), np.float64)
    t3 = empty((2,), np.float64)
    dt3 = t3
    c1 = np.array(0.5, np.float64)
    dt1 = t3
    dw = empty((3,), np.float64)
    k1 = empty((), np.float64)
"""


def test_a_training_step_updates_a_parameter_where_it_is() -> None:
    step = [*lines_of(MEMORY), "", *lines_of(STEP), "return loss"]
    assert lines_around(training()) == step


def test_an_epoch_is_the_step_on_each_mini_batch() -> None:
    told = training().epoch({"lr": "{3} / 2", "seen": "seen + 1"})
    assert told.startswith("\n\ndef epoch(all_x, all_y, order, x, y, w, lr):\n")
    assert [line.strip() for line in told.splitlines()[3:]] == [
        "answers = []",
        "for i in range(0, len(order), 2):",
        "all_x.take(order[i : i + 2], 0, x, 'clip')",
        "all_y.take(order[i : i + 2], 0, y, 'clip')",
        *lines_of(STEP),
        "answers.append(loss)",
        "lr = lr / 2",
        "seen = seen + 1",
        "return answers",
    ]


BLOCKS = """
    t1 = empty((2000, 100), np.float64)
    blocks_2000_96 = [slice(i, i + 96) for i in range(0, 2000, 96)]
    t2 = empty((100, 100), np.float64)
    t3 = empty((2000, 100), np.float64)

    for rows in blocks_2000_96:
        x[rows].dot(w, t1[rows])
    negative(w, t2)
    for rows in blocks_2000_96:
        x[rows].dot(t2, t3[rows])
    add(t1, t3, t1)
    y = np.sum(t1)
    return y
"""


@pytest.mark.parametrize("faster", [True, False])
def test_a_large_product_is_in_blocks_where_these_are_faster(
    monkeypatch: pytest.MonkeyPatch, faster: bool
) -> None:
    monkeypatch.setattr(fast, "small_products_are_faster", lambda: faster)
    x, w = np.ones((2000, 100)), np.ones((100, 100))
    program = written(lambda x, w: np.sum(np.dot(x, w) + np.dot(x, -w)), x, w)
    if faster:
        assert lines_around(program) == lines_of(BLOCKS)
    else:
        assert "rows" not in program.source


def test_memory_is_counted_in_bytes() -> None:
    assert written(used_again, X).buffers == [24, 24]
    assert written(used_again, X.astype(np.float32)).buffers == [12, 12]


def test_an_input_and_a_constant_are_answered_by_copies() -> None:
    """Whoever writes to an answer writes to nothing that is used again."""
    x, k = Variable((3,), np.dtype(float)), np.ones(3)
    c = Variable((3,), np.dtype(float), constant=k)
    program = Fast(Program((x,), (), (x, c, 2.0), {}))
    assert program.source.endswith("    return x.copy(), c1.copy(), 2.0\n")
