"""What is given in place of a function, a list or a Tensor: the error says so."""

import numpy as np
import pytest

import tinygrad_edu as tg

W = tg.Tensor(2.0, requires_grad=True, name="W")
LOSS = W * W
MODEL = tg.nn.MLP([2, 2, 1], rng=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tg.gradcheck(LOSS, W),
            "gradcheck: the first argument must be a function",
        ),
        (lambda: tg.explain(LOSS, wrt=3), "explain: wrt must be a Tensor or several"),
        (lambda: tg.explain(LOSS, wrt=[3]), "explain: wrt must be a Tensor or several"),
        (lambda: tg.explain(3), "explain: it takes a Tensor"),
        (lambda: tg.draw(3), "draw: expected a Tensor, not"),
        (lambda: tg.step_through(3, "x.html"), "step_through: it takes a Tensor"),
        (lambda: tg.compare(3, W, MODEL), "compare: mine must be a list of arrays"),
        (lambda: tg.compare(None, W, MODEL), "compare: mine must .* NoneType"),
        (lambda: tg.optim.SGD(W, lr=0.1), r"SGD: Tensor is not a list .* or \[w\]"),
        (
            lambda: tg.optim.SGD(MODEL, lr=0.1),
            r"SGD: MLP is not a list .*parameters\(\)",
        ),
        (lambda: tg.optim.SGD([LOSS], lr=0.1), "SGD: .* not a leaf Tensor"),
        (
            lambda: tg.losses.l2(MODEL, 0.1, 10),
            "l2: .* not MLP; pass model.weights",
        ),
        (
            lambda: tg.save(MODEL, "model.safetensors"),
            r"save: expected an nn.Module, .* str; call save\(path, model\)",
        ),
        (
            lambda: tg.load("model.safetensors", MODEL.state_dict()),
            "load: expected an nn.Module, not a value of type dict",
        ),
        (lambda: tg.nn.MLP(3), "nn: sizes must be a list of integers"),
        (lambda: tg.nn.MLP([2.5, 1]), r"nn: sizes must be .* not \[2.5, 1\]"),
        (lambda: tg.nn.Linear(2, "a"), r"nn: sizes must be a list of integers"),
        (lambda: tg.nn.Linear(2, 3, bias=[0.5]), "Linear: bias must .* not list"),
        (
            lambda: tg.testing.check_op(np.exp),
            "check_op: expected an op, .* not a ufunc",
        ),
    ],
)
def test_a_wrong_argument_is_told_what_is_wanted(call, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        call()
