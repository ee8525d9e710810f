"""What users of PyTorch, JAX and autograd write, and what to write here.

Errors read the table, and so does the page "Coming from PyTorch, JAX or autograd".
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["KEYWORDS", "TABLE", "Elsewhere", "absent", "advice", "listed", "raising"]

# By the place where a user looks for a name. Each answer is code: `t` and `u` are
# Tensors, `x` and `y` arrays, `f` is a function, and `model` a Module. It may end in a
# comment.
TABLE: dict[str, dict[str, str]] = {
    "tg": {
        # making arrays
        "tensor": "tg.Tensor([1.0, 2.0])",
        "as_tensor": "tg.Tensor(x)",
        "Variable": "tg.Tensor(x, requires_grad=True)",
        "from_numpy": "tg.Tensor(x)  # shares the memory",
        "from_dlpack": "tg.Tensor(np.from_dlpack(x))",
        "array": "np.array([1.0, 2.0])",
        "asarray": "np.asarray(x)",
        "zeros": "np.zeros((2, 3))",
        "ones": "np.ones((2, 3))",
        "full": "np.full((2, 3), 0.5)",
        "empty": "np.empty((2, 3))",
        "eye": "np.eye(3)",
        "arange": "np.arange(3.0)",
        "zeros_like": "np.zeros_like(t)",
        "ones_like": "np.ones_like(t)",
        "rand": "np.random.default_rng(0).random((2, 3))",
        "randn": "np.random.default_rng(0).standard_normal((2, 3))",
        "randint": "np.random.default_rng(0).integers(10, size=(2, 3))",
        "randperm": "np.random.default_rng(0).permutation(10)",
        "random": "np.random.default_rng(0)",
        "manual_seed": "np.random.default_rng(0)  # pass it on: MLP(sizes, rng)",
        "float32": "np.float32",
        "float64": "np.float64",
        "numpy": "np.exp(t)  # NumPy's own functions record",
        # functions of Tensors
        "cat": "tg.concatenate([t, u])",
        "concat": "tg.concatenate([t, u])",
        "unsqueeze": "tg.expand_dims(t, 0)",
        "view": "tg.reshape(t, (3, 2))",
        "flatten": "tg.ravel(t)",
        "permute": "tg.transpose(t, (1, 0))",
        "chunk": "tg.array_split(t, 2)",
        "mm": "t @ u.T",
        "bmm": "tg.matmul(t, u.T)",
        "sub": "t - u",
        "mul": "t * u",
        "div": "t / u",
        "neg": "-t",
        "pow": "t**2",
        "rsqrt": "t**-0.5",
        "acos": "tg.arccos(t)",
        "asin": "tg.arcsin(t)",
        "atan": "tg.arctan(t)",
        "atan2": "tg.arctan2(t, u)",
        "clamp": "tg.clip(t, 0, 1)",
        "erf": "tg.special.erf(t)",
        "lgamma": "tg.special.gammaln(t)",
        "expit": "tg.sigmoid(t)",
        "argmax": "np.argmax(t, axis=1)",
        "argsort": "np.argsort(t, axis=1)",
        "allclose": "np.allclose(t, u)",
        "isnan": "np.isnan(t)",
        "topk": "np.argsort(t, axis=1)[:, -2:]  # the positions",
        "gather": "tg.take_along_axis(t, labels[:, None], axis=1)",
        "index_select": "tg.take(t, [0, 1], axis=0)",
        "masked_fill": "tg.where(x > 0.5, 0.0, t)",
        # transforms
        "jit": "tg.compile(f)",
        "stop_gradient": "t.detach()",
        "inference_mode": "tg.no_grad()",
        "set_grad_enabled": "tg.no_grad()",
        "autograd": "tg.grad(f)",
        "func": "tg.grad(f)",
        "jacrev": "tg.jacobian(f)",
        "jacfwd": "tg.jacobian(f)",
        "elementwise_grad": "tg.grad(lambda x: np.sum(f(x)))",
        "make_vjp": "tg.vjp(f, x)",
        "custom_vjp": "tg.op  # a decorator",
        "device": "tg.Tensor(x)  # everything is on the CPU",
        "cuda": "tg.Tensor(x)  # everything is on the CPU",
    },
    # Python's prompt lists these when it completes a name, so only frequent ones.
    "t": {
        "view": "t.reshape(3, 2)",
        "unsqueeze": "t.expand_dims(0)",
        "permute": "t.transpose(1, 0)",
        "t": "t.T",
        "expand": "t.broadcast_to((2, 3))",
        "chunk": "t.array_split(2)",
        "numel": "t.size",
        "dim": "t.ndim",
        "mm": "t @ u.T",
        "pow": "t**2",
        "clamp": "t.clip(0, 1)",
        "gather": "t.take_along_axis(labels[:, None], axis=1)",
        "masked_fill": "tg.where(x > 0.5, 0.0, t)",
        "clone": "t.copy()",
        "contiguous": "t.copy()",
        "to": "t.astype(np.float32)",
        "float": "t.astype(np.float32)",
        "double": "t.astype(np.float64)",
        "cpu": "t  # everything is on the CPU",
        "cuda": "t  # everything is on the CPU",
        "device": "t  # everything is on the CPU",
        "block_until_ready": "t  # it is ready",
        "grad_fn": "t.op",
        "requires_grad_": "tg.Tensor(x, requires_grad=True)",
        "register_hook": "tg.grad(f)  # with respect to the value in question",
        "retain_grad": "tg.grad(f)  # with respect to the value in question",
        "at": "tg.where(x > 0.5, 0.0, t)  # or tg.add_at",
        "add_": "t + u  # a new Tensor",
        "mul_": "t * u  # a new Tensor",
        "relu_": "t.relu()  # a new Tensor",
        "zero_": "np.zeros_like(t)  # a new array",
    },
    "model": {
        "to": "tg.nn.Linear(3, 2, dtype=np.float32)",
        "float": "tg.nn.Linear(3, 2, dtype=np.float32)",
        "double": "tg.nn.Linear(3, 2, dtype=np.float64)",
        "cpu": "model  # everything is on the CPU",
        "cuda": "model  # everything is on the CPU",
        "zero_grad": "tg.optim.SGD(model.parameters(), lr=0.1).zero_grad()",
        "register_parameter": "setattr(model, 'w', tg.Tensor(x, requires_grad=True))",
        "register_buffer": "setattr(model, 'mean', tg.Tensor(x))",
        "add_module": "setattr(model, 'layer', tg.nn.Linear(3, 2))",
        "modules": "model.summary()",
        "children": "model.summary()",
        "apply": "model(t)  # a Module holds its parameters",
        "predict": "model(x)",
        "fit": "tg.train.fit  # of (model, loss, optimiser, (x, y), epochs)",
        "compile": "tg.train.fit  # it takes the loss and the optimiser",
        "save": "tg.save  # of (path, model)",
    },
    "tg.nn": {
        "functional": "tg.relu(t)  # functions of Tensors are in tg",
        "relu": "tg.relu(t)",
        "sigmoid": "tg.sigmoid(t)",
        "softmax": "tg.softmax(t)",
        "one_hot": "tg.data.one_hot(labels, 3)",
        "Parameter": "tg.Tensor(x, requires_grad=True)",
        "ModuleList": "[tg.nn.Linear(3, 2)]  # lists in attributes are searched",
        "ModuleDict": "{'a': tg.nn.Linear(3, 2)}  # dicts in attributes are searched",
        "ParameterList": "[tg.Tensor(x, requires_grad=True)]",
        "Dense": "tg.nn.Linear(3, 2)",
        "Flatten": "tg.nn.Sequential(lambda t: t.reshape(len(t), -1))",
        "Identity": "tg.nn.Sequential()",
        "Softmax": "tg.nn.Sequential(tg.softmax)",
        "LogSoftmax": "tg.nn.Sequential(tg.log_softmax)",
        "Softplus": "tg.nn.Sequential(tg.softplus)",
        "SiLU": "tg.nn.Sequential(lambda t: t * tg.sigmoid(t))",
        "LeakyReLU": "tg.nn.Sequential(lambda t: tg.maximum(t, 0.01 * t))",
        "Conv2d": "tg.op  # declare it, as examples/convolution.py does",
        "MaxPool2d": "tg.op  # declare it, as examples/convolution.py does",
        "MSELoss": "tg.losses.mse(t, x)  # with the factor 1/2",
        "CrossEntropyLoss": "tg.losses.softmax_cross_entropy(t, labels)",
        "BCELoss": "tg.losses.cross_entropy(tg.sigmoid(t), x)",
        "BCEWithLogitsLoss": "tg.losses.cross_entropy_with_logits(t, x)",
        "init": "tg.nn.Linear(3, 2, init='xavier')",
        "utils": "tg.optim.clip_gradients  # of (model.parameters(), 1.0)",
    },
    "tg.losses": {
        "mse_loss": "tg.losses.mse(t, x)  # with the factor 1/2",
        "l1_loss": "tg.abs(t - x).mean()",
        "nll_loss": "tg.losses.softmax_cross_entropy(t, labels)",
        "binary_cross_entropy": "tg.losses.cross_entropy(tg.sigmoid(t), x)",
        "sigmoid_binary_cross_entropy": "tg.losses.cross_entropy_with_logits(t, x)",
        "softmax_cross_entropy_with_integer_labels": (
            "tg.losses.softmax_cross_entropy(t, labels)"
        ),
    },
    "tg.optim": {
        "sgd": "tg.optim.SGD(model.parameters(), lr=0.1)",
        "adam": "tg.optim.Adam(model.parameters())",
        "lr_scheduler": "tg.train.schedules  # for fit(schedule=...)",
    },
    # functions of NumPy
    "np": {
        "nansum": "tg.where(np.isnan(t), 0, t).sum()",
        "nanmean": "t[~np.isnan(t)].mean()",
        "median": "tg.sort(t.ravel())[t.size // 2]  # if the size is odd",
        "float_power": "t**2",
        "fix": "tg.trunc(t)",
    },
}

# Parameters of ops.
KEYWORDS = {"dim": "axis", "dims": "axes", "keepdim": "keepdims", "correction": "ddof"}


def advice(place: str, name: str) -> str:
    """Return what to write instead, for the end of an error message; or "".

    >>> advice("tg", "cat")
    '; write tg.concatenate([t, u])'
    >>> advice("t", "cpu")
    '; write t (everything is on the CPU)'
    >>> advice("t", "sigmoid")
    ''
    """
    code, _, note = TABLE[place].get(name, "").partition("  # ")
    return f"; write {code}" * bool(code) + f" ({note})" * bool(note)


def absent(place: str, module: str, name: str) -> AttributeError:
    """Return the error for a name that a module does not have.

    Without advice, Python adds "Did you mean" if one of the module's names is near.
    """
    instead = advice(place, name)
    text = f"module {module!r} has no attribute {name!r}{instead}"
    return AttributeError(text, name=name, obj=None if instead else sys.modules[module])


def raising(place: str, module: str) -> Callable[[str], NoReturn]:
    """Return a ``__getattr__`` for a module."""

    def getter(name: str) -> NoReturn:
        raise absent(place, module, name)

    return getter


class Elsewhere:
    """An attribute that is not there: reading it raises an AttributeError with advice.

    A class with ``__getattr__`` would be slower, for all its attributes.
    """

    def __init__(self, place: str, name: str) -> None:
        self.place, self.name = place, name

    def __get__(self, thing: Any, kind: type) -> NoReturn:
        raise AttributeError(
            f"{kind.__name__!r} object has no attribute {self.name!r}"
            + advice(self.place, self.name)
        )


def listed(thing: Any) -> list[str]:
    """Return what ``dir(thing)`` lists, without the names that are not there."""
    kind, own = type(thing), getattr(thing, "__dict__", ())
    return [x for x in object.__dir__(thing) if x in own or hasattr(kind, x)]
