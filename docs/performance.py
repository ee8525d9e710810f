"""Write docs/performance.md from what the benchmarks measured.

pytest tests/benchmarks --figures docs/performance.json && python docs/performance.py
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).with_suffix(".md")

TEXT = """\
# Performance

How long it takes, side by side with others, on one core. Made by `python
docs/performance.py` from `docs/performance.json`, which holds one run of

```console
pytest tests/benchmarks --figures docs/performance.json
```

{machine}

Times depend on the machine, ratios less so. Each figure is the median of 50 rounds, in
which the programs take turns every few milliseconds: what disturbs one disturbs all.
All start from the same weights, and the run begins with a check that they
compute the same thing.

## A training step

Forward, backward and update of a sigmoid network with mean squared error, in float32,
by gradient descent, for the sizes of some networks x some batches: microseconds a step.

{steps}

*by Numba* is `tg.compile(backend="numba")`. *hand NumPy* is the formulas of the
textbook in plain NumPy; it computes no loss, which is a lead over the others. So many
times as long as `tg.compile` each takes, in rounds of neighbours:

{ratios}

Two things are at work. In a small network the arithmetic takes next to no time, and
what counts is what surrounds it: frameworks pass through many layers before they
multiply twelve numbers, and a compiled step through none. In the largest one, nearly
all the time is in two products of matrices, and no program around them can do much:
there it counts whose matrix library is the faster one. [From tape to
program](from-tape-to-program.md) tells what the compiler does about the first.

## An epoch of MNIST

60,000 images, [784, 30, 10], mini-batches of 10, and after it the cost and the number
of images classified right.

{epoch}

The first is `examples/train_mnist.py`; the second is a program that takes one example
after the other, as the textbook's does.

## A gradient of a plain NumPy function

`tg.grad` of `np.tanh(np.dot(x, W) + b).sum()`, for vectors and for square matrices `x`;
the same with Tensors and `backward()`; and by HIPS autograd: microseconds.

{gradients}

## Costs that must not creep in

{rest}
"""


def page() -> str:
    """Return the page as it should be."""
    measured = json.loads(FIGURES.read_text("utf-8"))
    return TEXT.format(
        machine=machine(**measured["machine"]),
        steps=table("program", measured["microseconds a step"]),
        ratios=table("program", measured["times as long as tg.compile"]),
        epoch=table("program", {"seconds": measured["seconds an epoch of MNIST"]}),
        gradients=table("program", measured["microseconds a gradient"]),
        rest="\n".join(rest(measured)),
    )


def machine(
    date: str,
    cpu: str,
    cores: int,
    load: float | None,
    system: str,
    python: str,
    blas: str,
    versions: dict[str, str],
) -> str:
    others = ", ".join(f"{name} {number}" for name, number in versions.items())
    busy = (
        f" The load of the machine was {load:.1f} when the run began." if load else ""
    )
    return (
        f"It was run on {date}, on one of {cores} cores of an {cpu}, {system}, with "
        f"Python {python}, {others}; NumPy's matrix library is {blas}.{busy}"
    )


def table(corner: str, columns: dict[str, dict[str, float]]) -> str:
    """Write a table whose columns have the same rows."""
    lines = [[corner, *columns], ["---", *["--:"] * len(columns)]]
    for row in next(iter(columns.values())):
        lines.append([row, *(figure(column[row]) for column in columns.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(x: float) -> str:
    """Write a number to three digits or so."""
    if x < 1:
        return f"{x:.2f}"
    return f"{x:,.0f}" if x >= 100 else f"{x:#.3g}"


def rest(measured: dict[str, Any]) -> Iterator[str]:
    links = measured["microseconds a link of a chain"]
    yield (
        "- **Time is linear in the length of a graph.** A link of a chain of "
        f"multiplications, forward and backward, takes {listed(links.values())} "
        f"microseconds in chains of {listed(f'{int(n):,}' for n in links)}."
    )
    yield (
        "- **Memory.** The peak over 50 elementwise ops, forward and backward, is "
        f"{measured['peak memory by what must be kept']} times what must be kept: "
        "each answer once, and the gradient."
    )
    imports = measured["milliseconds to import"]
    yield (
        f"- **Importing** takes {imports['tinygrad_edu on top']} ms, after "
        f"{imports['numpy']} ms for NumPy."
    )


def listed(items: Iterable[Any]) -> str:
    *most, last = map(str, items)
    return f"{', '.join(most)} and {last}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(f"Wrote {PAGE.name}")
