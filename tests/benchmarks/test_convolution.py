"""The convolution of examples/convolution.py, and a LeNet's step, against PyTorch.

    pytest tests/benchmarks

As in `test_side_by_side.py`: that all agree is asserted, times are printed. In first
layers the images are constant, and only the kernels have a gradient.
"""

import numpy as np
import pytest
from turns import time_in_turn

import tinygrad_edu as tg

pytest.importorskip("matplotlib", reason="the example draws with Matplotlib")
pytest.importorskip("rich", reason="the example shows its progress by Rich")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import convolution  # noqa: E402
from train_lenet import LeNet  # noqa: E402

AT_MOST = 2.0  # times PyTorch's time
BATCH, KERNEL = 64, 5
LAYERS = [
    # channels in and out, rows and columns of pixels, if the images have a gradient
    (1, 8, 28, False),
    (1, 8, 28, True),
    (8, 16, 12, False),
    (8, 16, 12, True),
]


@pytest.fixture(scope="module")
def results(report):
    """Filled by the tests, printed when the last one is done."""
    torch.set_num_threads(1)
    np.empty(1 << 21)  # so that the C library keeps what it is given back
    lines = []
    yield lines
    report += [
        "",
        f"microseconds for {BATCH} images, forward and backward, and the ratio to "
        f"PyTorch; limit {AT_MOST}",
        f"{'':<42}{'PyTorch':>9}{'Tensors':>9}{'':>7}{'compiled':>11}",
        *lines,
    ]


def line(title, steps):
    times, _ = time_in_turn({title: steps})
    theirs, *ours = times[title].values()
    cells = f"{title:<42}{np.median(theirs):>9.0f}"
    for mine in ours:
        ratio = np.median(mine / theirs)
        mark = "ok" if ratio <= AT_MOST else "over"
        cells += f"{np.median(mine):>9.0f}{ratio:>6.2f} {mark:<4}"
    return cells


@pytest.mark.parametrize(("c", "o", "side", "both"), LAYERS)
def test_convolutions_agree_and_are_timed(c, o, side, both, results):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((c, side, side, BATCH), np.float32)
    w = rng.standard_normal((o, c, KERNEL, KERNEL), np.float32)
    g = rng.standard_normal((o, *[side - KERNEL + 1] * 2, BATCH), np.float32)

    leaves = [tg.Tensor(w, requires_grad=True)]
    leaves += [tg.Tensor(x, requires_grad=True)] if both else []

    def run():
        for leaf in leaves:
            leaf.zero_grad()
        y = convolution.conv2d(leaves[1] if both else x, leaves[0])
        y.backward(g)
        return y

    theirs = [torch.tensor(w, requires_grad=True)]
    images, cotangent = (
        torch.tensor(array).permute(3, 0, 1, 2).contiguous() for array in (x, g)
    )
    theirs += [images.requires_grad_()] if both else []

    def run_theirs():
        for leaf in theirs:
            leaf.grad = None
        y = torch.nn.functional.conv2d(images, theirs[0])
        y.backward(cotangent)
        return y

    expected = run_theirs().detach().permute(1, 2, 3, 0)
    gradients = [theirs[0].grad]
    gradients += [images.grad.permute(1, 2, 3, 0)] if both else []
    programs = {"Tensors": run, "compiled": tg.compile(run)}
    for name, program in programs.items():
        close(program().numpy(), expected.numpy(), name)
        for leaf, gradient in zip(leaves, gradients, strict=True):
            close(leaf.grad.numpy(), gradient.numpy(), name)

    title = f"{c} to {o} channels of {side} by {side}, " + "dw" + ", dx" * both
    results.append(line(title, {"PyTorch": run_theirs} | programs))


def close(found, expected, name):
    """Equal but for the rounding of float32, in sums of up to 36,864 products."""
    assert found.dtype == np.float32, name
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert error < 1e-5, f"{name}: an array of shape {found.shape} is off by {error}"


def test_a_step_of_the_network_agrees_and_is_timed(results):
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, 784), np.float32)
    y = tg.data.one_hot(rng.integers(10, size=BATCH))
    steps = {"PyTorch": theirs_step(LeNet(np.random.default_rng(1)), x, y)}
    for name, compiled in {"Tensors": lambda f: f, "compiled": tg.compile}.items():
        steps[name] = compiled(our_step(LeNet(np.random.default_rng(1)), x, y))
    for _ in range(3):
        expected, *found = (step().item() for step in steps.values())
        assert found == pytest.approx([expected] * 2, rel=1e-4)
    results.append(line("LeNet: a training step with Adam", steps))


def our_step(model, x, y):
    optimiser = tg.optim.Adam(model.parameters())

    def step():
        loss = tg.losses.softmax_cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    return step


def theirs_step(model, x, y):
    """Build the same network with PyTorch, from the same parameters."""
    first, second = model.convolutions
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, KERNEL),
        torch.nn.MaxPool2d(2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 16, KERNEL),
        torch.nn.MaxPool2d(2),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(256, 128),
        torch.nn.ReLU(),
        torch.nn.Linear(128, 10),
    )
    ours = [
        *(first.kernels, first.bias, second.kernels, second.bias),
        *(model.hidden.weight, model.hidden.bias),
        *(model.output.weight, model.output.bias),
    ]
    with torch.no_grad():
        for p, q in zip(net.parameters(), ours, strict=True):
            p.copy_(torch.tensor(q.numpy().reshape(p.shape)))
    optimiser = torch.optim.Adam(net.parameters())
    loss_of = torch.nn.CrossEntropyLoss()
    x, y = torch.tensor(x).reshape(BATCH, 1, 28, 28), torch.tensor(y)

    def step():
        loss = loss_of(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    return step
