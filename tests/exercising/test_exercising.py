"""Every exercise: its own answer is right, and what is wrong is called wrong."""

import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.exercising import Exercises
from tinygrad_edu.exercising.listing import DECLARED

DOCS = Path(__file__).parents[2] / "docs"

each_exercise = pytest.mark.parametrize("name", DECLARED)


@pytest.fixture
def mine(tmp_path):
    return Exercises(tmp_path / "progress.json")


def rounded(x):
    """Round to three digits, as people copy numbers."""
    if isinstance(x, list):
        return [rounded(part) for part in x]
    return np.vectorize(lambda number: float(f"{number:.3g}"))(x)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# --- All exercises --------------------------------------------------------------------


@each_exercise
@pytest.mark.parametrize("seed", range(3))
def test_the_answer_that_is_revealed_is_right(mine, name, seed):
    exercise = mine.one(name, seed)
    verdict = exercise.check(exercise.right())
    assert verdict, verdict
    assert str(verdict) == "Right: well done"
    if not callable(exercise.right()):
        assert exercise.check(rounded(exercise.right()))


@each_exercise
def test_the_answer_to_other_numbers_is_wrong(mine, name):
    answer = mine.one(name, seed=1).right()
    verdict = mine.one(name, seed=0).check(
        (lambda *_: None) if callable(answer) else answer
    )
    assert not verdict
    assert str(verdict).startswith("Not yet: ")


@each_exercise
def test_a_question_prints_with_its_numbers(mine, name):
    exercise = mine[name]
    text, markdown = str(exercise), exercise._repr_markdown_()
    assert text == repr(exercise)
    names = {"np": np}
    code = re.search(r"```python\n(.*)\n```$", markdown, re.DOTALL).group(1)
    exec(code, names)
    given = {key: names[key] for key in exercise.given}
    np.testing.assert_equal(given, exercise.given)
    head, question = text.removesuffix("\n").split("\n\n", 1)
    assert head == f"{DECLARED[name].title}  [{name}, seed 0]"
    assert all(line in question for line in code.splitlines())
    longest = max(len(line) for line in question.splitlines() if "np.array" not in line)
    assert longest <= 80


@each_exercise
def test_an_exercise_has_hints_and_a_lesson(mine, name):
    declaration = DECLARED[name]
    assert (DOCS / f"{declaration.lesson}.md").exists()
    exercise, many = mine[name], len(declaration.hints)
    assert many >= 2
    for count, hint in enumerate([*declaration.hints, declaration.hints[-1]], 1):
        expected = f"Hint {min(count, many)} of {many}: {hint}"
        assert repr(exercise.hint()) == expected


def test_a_place_that_was_not_filled_in_is_no_try(mine):
    told = str(mine["compiled-step"].check(...))
    assert told == "Not yet: write your answer in place of ..."
    assert not any(row[-1] for row in mine.table())


@pytest.mark.parametrize("name", ["backprop", "sgd", "compiled-step"])
def test_an_error_in_an_answer_says_whose_it_is(mine, name):
    def broken(*args):
        return {}["w"]

    with pytest.raises(KeyError, match="w") as caught:
        mine[name].check(broken)
    note = "This error is in your answer, not in the exercise."
    assert caught.value.__notes__ == [note]
    with pytest.raises(KeyError) as caught:
        mine.in_language("zh")[name].check(broken)
    assert caught.value.__notes__[0].startswith(f"{note}\n这个错误出在你的答案里")


def test_seeds_draw_other_numbers(mine):
    assert mine.one("cube", 3).given == mine.one("cube", 3).given
    assert len({mine.one("cube", seed).given["x"] for seed in range(20)}) > 15


def test_what_is_done_to_the_given_numbers_does_not_change_the_exercise(mine):
    exercise = mine["batch-b"]
    right = exercise.right()
    exercise.given["x"][:] = 0
    assert exercise.check(right)

    def spoils_its_arguments(x, y, W, b):
        x[:] = 0
        return right

    assert exercise.check(spoils_its_arguments)
    assert exercise.given["x"].any()


# --- Slips ----------------------------------------------------------------------------


def slips_in_a_chain(x, y, w1, w2):
    h1 = sigmoid(x * w1)
    h2 = sigmoid(h1 * w2)
    delta2 = (h2 - y) * h2 * (1 - h2)
    delta1 = delta2 * w2 * h1 * (1 - h1)
    return {
        "its sign is flipped": -delta1 * x,
        "it is twice as large as it should be": 2 * delta1 * x,
        "h1 is used in place of x": delta1 * h1,
        "sigma'(z1) is missing": delta2 * w2 * x,
        "the factor (1 - h1) is missing": delta2 * w2 * h1 * x,
        "the factor w2 is missing": delta2 * h1 * (1 - h1) * x,
    }


@pytest.mark.parametrize("seed", range(4))
def test_slips_are_named_also_in_numbers_that_were_rounded(mine, seed):
    exercise = mine.one("chain-w1", seed)
    right = exercise.right()
    for words, slip in slips_in_a_chain(**exercise.given).items():
        verdict = exercise.check(slip)
        assert verdict.says == words
        assert verdict.lesson.startswith("lessons/")
        copied = exercise.check(rounded(slip)).says
        assert words in copied
        assert copied.startswith("perhaps ")
        assert f"{right:.3g}" not in f"{verdict}{copied}"


def test_all_digits_tell_slips_apart_that_three_do_not(mine):
    """With these numbers, h1 is nearly twice x."""
    exercise = mine.one("chain-w1", seed=53)
    slip = slips_in_a_chain(**exercise.given)["h1 is used in place of x"]
    assert exercise.check(slip).says == "h1 is used in place of x"


def test_a_right_number_that_is_rounded_is_not_named_beside_a_wrong_one(mine):
    exercise = mine["two-paths"]
    a, b = exercise.right()
    assert exercise.check([rounded(a), -b]).says == "b: its sign is flipped"
    assert exercise.check([-a, rounded(b)]).says == "a: its sign is flipped"
    assert exercise.check([rounded(a), rounded(b)])


def test_no_slip_is_named_where_none_explains_the_numbers(mine):
    verdict = mine["chain-w1"].check(12.3)
    assert str(verdict) == "Not yet: no common slip explains it"


def test_the_slips_of_a_function_are_told_layer_by_layer(mine):
    def backprop(x, y, W1, b1, W2, b2):
        a1 = sigmoid(x @ W1.T + b1)
        a2 = sigmoid(a1 @ W2.T + b2)
        delta2 = (a2 - y) / len(x) * a2 * (1 - a2)
        delta1 = delta2 @ W2 * a1
        return [delta1.T @ x, delta1.sum(axis=0), delta2.T @ a1, delta2.sum(axis=0)]

    verdict = mine["backprop-batch"].check(backprop)
    assert verdict.says.splitlines() == [
        "b1: the factor (1 - a1) is missing",
        "W1: inherited from delta1",
    ]
    assert verdict.lesson == "lessons/01-one-path"


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("forward", "sigmoid(W @ x)", "the bias is missing"),
        ("forward", "sigmoid(W @ x + b)[:1]", "the shape is (1,), and should be (2,)"),
        ("mean-loss", "((h - y) ** 2).sum() / 2", "sum over the examples and not the"),
        ("mean-loss", "12.5", "no common slip explains it; try hint()"),
        ("mean-loss", "'much'", "numbers are wanted, not 'much'"),
        ("chain-w1", "'much'", "gradients wanted: 1; compare: the gradient"),
        ("chain-w1", "[1, 2]", "it has the shape (2,)"),
        ("two-paths", "[1.0]", "gradients wanted: 2; zip()"),
        ("momentum", "(w - lr * v, mu * v + g)", "w moves by the old velocity"),
        ("momentum", "w", "results wanted: 2, in a tuple"),
        ("momentum", "(w - lr * (mu * v + g), v)", "result 2: no common slip"),
        ("stable-sigmoid", "sigmoid(z)", "in your function: overflow encountered"),
        ("batch-b", "None", "your function returned None; end it with a return"),
        ("tanh-prime", "1 - z**2", "z is used in place of a in tanh'(z)"),
        ("tanh-prime", "1 - z**3", "no common slip explains it; it differs most at ["),
    ],
)
def test_other_slips_are_told(mine, name, answer, says):
    exercise = mine[name]

    def function(*values):
        names = dict(zip(exercise.given, values))
        return eval(answer, {"np": np, "sigmoid": sigmoid, **names})

    assert says in exercise.check(function).says


@pytest.mark.parametrize(
    ("forward", "rule", "says"),
    [
        (lambda x: x / (1 + np.abs(x)), lambda g, y, x: -g, "reverse mode gives"),
        (lambda x: x / (2 + np.abs(x)), lambda g, y, x: g, "its value: no common"),
    ],
)
def test_an_op_is_judged_by_its_values_and_its_rule(mine, forward, rule, says):
    @tg.op
    def mine_own(x):
        return forward(x)

    assert says in mine["own-op"].check(mine_own.vjp(x=rule)).says
    assert "this is no op" in mine["own-op"].check(forward).says


@pytest.mark.parametrize(
    ("update", "says"),
    [
        ("p -= self.lr * (self.mu * v + g)", "the first is right, but not step 2"),
        ("p -= self.mu * g", "already step 1"),
    ],
)
def test_an_optimiser_is_tried_for_some_steps(mine, update, says):
    class Wrong(tg.optim.Optimiser):
        def __init__(self, params, lr, mu):
            super().__init__(params, "v")
            self.lr, self.mu = lr, mu

        def update(self, p, g, v):
            exec(update, {"self": self, "p": p, "g": g, "v": v})

    assert says in mine["own-optimiser"].check(Wrong).says
    assert "no subclass" in mine["own-optimiser"].check(3).says


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda step, model: step, "it should return what tg.compile returned"),
        (lambda step, model: tg.compile(lambda x, y: step(x, y) * 2), "loss of step 1"),
        (lambda step, model: tg.compile(lambda x, y: (step(x, y), None)[1]), "None"),
    ],
)
def test_a_compiled_step_is_judged_by_the_same_step_without_compile(mine, wrong, says):
    def make_step(model, optimiser):
        def step(x, y):
            loss = tg.losses.mse(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return loss

        return wrong(step, model)

    assert says in mine["compiled-step"].check(make_step).says


def test_a_compiled_step_is_made_by_a_function(mine):
    assert "what tg.compile returned" in mine["compiled-step"].check(3).says


def test_a_compiled_step_that_leaves_other_parameters_is_wrong(mine):
    """The losses are right, but the last step is not made."""

    def make_step(model, optimiser):
        @tg.compile
        def step(x, y):
            loss = tg.losses.mse(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            return loss

        calls = []

        class Late(type(step)):
            def __call__(self, x, y):
                if calls:
                    optimiser.step()
                calls.append(1)
                return super().__call__(x, y)

        step.__class__ = Late
        return step

    assert "after the steps" in mine["compiled-step"].check(make_step).says
