"""Right programs: they run, and type checkers have nothing to say against them.

A line that a checker flags all the same ends with ``# false alarm``.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinygrad_edu as tg

ones = np.ones((2, 3))
targets = np.zeros((2, 1))


def leaf(shape: tuple[int, ...] = (2, 3)) -> tg.Tensor:
    return tg.Tensor(np.ones(shape), requires_grad=True)


def square(t: tg.Tensor) -> tg.Tensor:
    return t * t


def loop() -> None:
    model = tg.nn.MLP([3, 4, 1], rng=0)
    optimiser = tg.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for epoch in range(2):
        loss = tg.losses.mse(model(ones), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        print(f"{epoch} {loss.item():.3f} {loss:.3f}")


def layers() -> None:
    nn = tg.nn
    model = nn.Sequential(
        nn.Linear(3, 4, rng=0, init="he"),
        nn.ReLU(),
        nn.Dropout(0.5, rng=0),
        tg.tanh,
        nn.Function(np.tanh),
        nn.Sigmoid(),
        nn.Tanh(),
        output=nn.Linear(4, 1),
    )
    model.eval()
    predicted(model, ones).sum().backward()
    print(len(model), model[0], model.summary(), model.named_parameters().keys())


def predicted(model: tg.nn.Sequential, x: NDArray[np.float64]) -> tg.Tensor:
    return model(x)


class Line(tg.nn.Module):
    def __init__(self, slope: float) -> None:
        self.slope = tg.Tensor(slope, requires_grad=True)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.slope * x


def module() -> None:
    line = Line(2.0)
    line(tg.Tensor(3.0)).backward()
    for name, parameter in line.named_parameters().items():
        print(name, parameter.grad.item(), line.slope.grad)


def operators() -> None:
    w = leaf()
    y = 2.0 - w + ones * w - w / ones + w**2 - 2**w + -w + abs(w) + w % 2 + w // 2
    z = ones.T @ w + w.T @ ones + np.float64(2.0) * w[0] + [1.0, 2.0, 3.0] + w[0]
    (y.sum() + z.sum()).backward()
    (ones * w).sum().backward()


def in_place() -> None:
    w = leaf()
    (w * w).sum().backward()
    with tg.no_grad():
        w -= 0.1 * w.grad
        w *= 0.9
    total = tg.Tensor(0.0)
    for _ in range(2):
        total += (w * w).sum()
    total.backward()
    w.data = w.data - 0.1 * w.grad.data
    w.data -= 0.1


def indices() -> None:
    w = leaf()
    mask = w > 0.5
    parts = [w[0], w[:, 1], w[..., None], w[[0, 1]], w[mask], w[np.array([0])], w[0, 1]]
    parts[0].sum().backward()
    for row in w:
        row.sum().backward()
    first, second = w
    (first * second).sum().backward()


def comparisons() -> None:
    w = leaf()
    loss = (w * w).mean()
    if loss < 10 and not loss.item() > 10:
        print((w > 0).sum(), bool((w == w).all()), w.argmax(axis=1), (w > 0) & (w < 2))


def numpy_functions() -> None:
    w = leaf()
    np.mean(w * np.exp(w)).backward()
    in_numpys_words(w).backward()
    np.sum(w, axis=0).sum().backward()
    np.where(w > 0, w, 0.0).sum().backward()
    np.stack([w, w]).mean().backward()
    np.maximum(w, 0.5).sum().backward()
    print(np.shape(w), np.argmax(w), np.asarray(w.detach()), np.allclose(w.data, 1))


# NumPy's own types do not know that a function of a Tensor returns a Tensor.
def in_numpys_words(w: Any) -> Any:
    return np.sum(np.tanh(w) ** 2)


def axes() -> None:
    w = leaf()
    w.sum(0).max(0).backward()
    w.mean(axis=(0, 1), keepdims=True).squeeze().backward()
    tg.expand_dims(w, 0).std(axis=-1, ddof=1).sum().backward()
    tg.softmax(w).sum(dtype=float).backward()


def shapes() -> None:
    w = leaf()
    y = w.reshape(3, 2).reshape((-1,)).reshape([2, 3]).T.transpose().transpose(1, 0)
    y.flatten().astype(np.float32).astype("float64").sum().backward()
    tg.broadcast_to(w, (4, 2, 3)).swapaxes(0, 1).sum().backward()


def gradients() -> None:
    array: NDArray[np.float64] = tg.grad(lambda t: (t**2).sum())(ones)
    slope, offset = tg.grad(lambda a, b: a * a + b, argnums=(0, 1))(2.0, 1.0)
    slope, aux = tg.grad(lambda t: (t * t, "aux"), has_aux=True)(2.0)
    value, slope = tg.value_and_grad(square)(tg.Tensor(2.0))
    print(array.shape, slope.item(), offset, aux, value)
    print(tg.grad(tg.grad(square))(np.float64(2.0)).item())


def directions() -> None:
    y, pullback = tg.vjp(square, ones)
    y, tangent = tg.jvp(square, (ones,), (ones,))
    print(y, pullback(ones), tangent, tg.hvp(lambda t: (t**3).sum(), ones, ones))
    print(tg.jacobian(square)(ones[0]).shape, tg.hessian(tg.sum)(ones[0]).shape)


def own_op() -> None:
    @tg.op(tex="{x}^3", signature="()->()")
    def cube(x: Any) -> Any:
        return x**3

    cube.vjp(x=lambda g, y, x: g * 3 * x**2)
    cube(leaf()).sum().backward()
    # What a program declares is not in the file that checkers read.
    leaf().cube().sum().backward()  # false alarm


def compiled() -> None:
    model = tg.nn.Linear(3, 1, rng=0)
    optimiser = tg.optim.Adam(model.parameters())

    @tg.compile
    def step(x: Any, y: Any) -> tg.Tensor:
        loss = tg.losses.mse(model(x), y)
        loss.backward()
        optimiser.step()
        return loss

    @tg.compile(style="readable")
    def predict(x: Any) -> tg.Tensor:
        return model(x)

    step(ones, targets).item()
    print(predict(ones), step.source, predict.report(), step.epoch(ones, targets, 1, 0))


def fitted() -> None:
    model = tg.nn.MLP([3, 1], rng=0)
    history = tg.train.fit(
        model.logits,
        tg.losses.cross_entropy_with_logits,
        tg.optim.RMSprop(model.parameters(), lr=0.01),
        (ones, targets),
        epochs=1,
        validation=(ones, targets),
        metrics={"error": lambda h, y: np.abs(h - y).mean()},
        schedule=tg.train.schedules.step(0.5, 10),
        progress=False,
    )
    print(history["loss"], model(tg.Tensor(ones)).numpy().round(2))


def optimisers() -> None:
    w = leaf()
    for optimiser in (
        tg.optim.SGD([w], 0.1, nesterov=True, momentum=0.9),
        tg.optim.AdamW([w], lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1),
    ):
        (w * w).sum().backward()
        tg.optim.clip_gradients([w], max_norm=1.0)
        optimiser.step()
        optimiser.lr *= 0.5
        optimiser.load_state_dict(optimiser.state_dict())
        optimiser.zero_grad()


def numbers() -> None:
    loss = (leaf() ** 2).sum()
    print(float(loss), int(loss), round(loss, 2), len(leaf()), max(1.0, loss.item()))
    print(f"{loss:.2f}", loss.tolist(), loss.shape == (), leaf().ndim, leaf().dtype)


def gradients_at_hand() -> None:
    w = leaf()
    (w * w).sum().backward()
    if w.grad is not None:
        print(w.grad.shape)
    array: NDArray[np.float64] = w.grad.numpy()
    norm = np.linalg.norm(w.grad.data)
    print(array, norm, (w.grad + 1).shape, w.grad[0, 0].item())
    w.grad = None
    w.grad = ones
    w.zero_grad()


def losses() -> None:
    z = leaf()
    loss = tg.losses.softmax_cross_entropy(z, [[0, 0, 1], [1, 0, 0]])
    loss = loss + tg.losses.l2([z], lam=0.1, n=2) + tg.losses.mse(z, ones)
    loss = loss + tg.losses.cross_entropy(z.sigmoid(), ones)
    loss.backward(retain_graph=True)
    loss.backward(1.0, create_graph=False)


@tg.no_grad()
def frozen(w: tg.Tensor) -> tg.Tensor:
    return (w * w).detach()


def constants() -> None:
    print(frozen(leaf()).requires_grad, tg.Tensor(range(3)), tg.Tensor([[1, 2.5]]))
    print(tg.Tensor(leaf(), name="w").is_leaf, tg.Tensor(np.float32(1), dtype="f8"))


def states() -> None:
    model = tg.nn.MLP([3, 1], rng=0)
    other = tg.nn.MLP([3, 1], rng=1)
    other.load_state_dict(model.state_dict())
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert np.array_equal(mine.data, theirs.data)
    print(sum(p.size for p in model.parameters()), model.weights[0].name)


def checks() -> None:
    tg.gradcheck(square, ones)
    y = (leaf() ** 2).sum()
    print(tg.explain(y), tg.draw(y).mermaid, tg.OPS["exp"].tex)
    with tg.debug():
        square(leaf())


def products() -> None:
    w = leaf((2, 2))
    y = tg.linalg.solve(w + np.eye(2), np.ones(2)) + tg.linalg.inv(w + np.eye(2))
    y = (
        y
        + tg.einsum("ij,jk->ik", w, w)
        + tg.dot(w, ones[:, :2])
        + tg.matmul(ones.T, w)[0]
    )
    y.sum().backward()
    _, logarithm = tg.linalg.slogdet(w + np.eye(2))
    logarithm.backward()


def joined() -> None:
    w = leaf()
    tg.concatenate([w, ones], axis=1).sum().backward()
    tg.stack((w, w)).sum().backward()
    tg.vstack(list(w)).sum().backward()
    first, *_ = tg.split(w, 3, axis=1)
    first.clip(0.0, w[0].max()).sum().backward()
    tg.where(ones > 0, w, 0.0).take([0, 1], axis=0).pad(1, mode="edge").sum().backward()


def arrays() -> None:
    probabilities: NDArray[np.float64] = tg.softmax(ones)
    classes = tg.softmax(ones, axis=1).argmax(axis=1)
    print(
        probabilities.shape, classes == np.array([0, 0]), tg.sum([1.0, 2.0]), tg.exp(1)
    )


def chosen_by_name() -> None:
    activations: dict[str, Callable[[tg.Tensor], tg.Tensor]] = {
        "relu": tg.relu,
        "tanh": tg.tanh,
    }
    activation = activations["relu"]
    activation(leaf()).sum().backward()
    tg.remat(square)(leaf()).sum().backward()


class SignDescent(tg.optim.Optimiser):
    def __init__(self, params: Iterable[tg.Tensor], lr: float) -> None:
        super().__init__(params)
        self.lr = lr

    def update(self, p: Any, g: Any, *state: Any) -> None:
        p -= self.lr * np.sign(g)


def own_optimiser() -> None:
    w = leaf()
    optimiser = SignDescent([w], lr=0.1)
    (w * w).sum().backward()
    optimiser.step()
    print(optimiser.lr, optimiser.steps, optimiser.params[0].name)


def own_loss() -> None:
    model = tg.nn.MLP([2, 2, 1], rng=0)

    def loss(h: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        penalty = tg.losses.l2(model.weights, lam=0.1, n=4)
        return tg.losses.cross_entropy(h, y) + penalty

    optimiser = tg.optim.SGD(model.parameters(), lr=0.1)
    history = tg.train.fit(model, loss, optimiser, tg.data.xor(), 1, progress=False)
    print(len(history))


def recurrence() -> None:
    cell, state = tg.nn.Linear(5, 2, rng=0), tg.Tensor(np.zeros((4, 2)))
    states: list[tg.Tensor] = []
    for x in np.ones((3, 4, 3)):
        state = cell(tg.concatenate([state, x], axis=1)).tanh()
        states.append(state)
    tg.stack(states).mean().backward()


def newtons_method() -> None:
    x: Any = 1.0
    slope = tg.grad(lambda x: x**3 - 2 * x)
    for _ in range(3):
        x = x - slope(x) / tg.grad(slope)(x)
    print(float(x))


def classes() -> None:
    labels = np.array([0, 2])
    z = leaf()
    loss = tg.losses.softmax_cross_entropy(z, np.eye(3)[labels])
    likelihood = -z.log_softmax()[np.arange(2), labels].mean()
    (loss + likelihood).backward()
    accuracy = (z.argmax(axis=1) == labels).mean()
    print(f"{accuracy:.0%}", z.softmax(axis=1).numpy().sum(axis=1))


def padded_and_sorted() -> None:
    w = leaf()
    w.pad(1, mode="edge").sort().take([0, 1], axis=-1).cumsum(1).sum().backward()
    w.repeat(2, axis=0).tile(2).roll(1).flip(0).ravel().diff().sum().backward()
    w.var(ddof=1).sqrt().log1p().backward()
