"""Write docs/performance.md and the sentence in the READMEs from the measurements.

pytest tests/benchmarks --figures docs/performance.json && python docs/performance.py
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).with_suffix(".md")
ROOT = Path(__file__).parents[1]
BUSY = 0.05  # the share of the time without a processor that spoils a run

Spread = list[float]  # lower quartile, median, upper quartile

# The sentence of each README, and its addition if the machine was idle: the smallest
# and the largest ratio of all cases.
SENTENCES = {
    "README.md": (
        "`tg.compile` turns a training step into a NumPy program",
        ",\n  {low} to {high} times as fast as PyTorch's for networks of this size",
    ),
    "README.zh-CN.md": (
        "`tg.compile` 把训练步骤变成 NumPy 程序",
        "（在这种规模的网络上速度是 PyTorch 的 {low} 到 {high} 倍）",
    ),
}

TEXT = """\
# Performance

This page compares the speed with other frameworks, on one core. `python
docs/performance.py` writes it from `docs/performance.json`, which contains one run of

```console
pytest tests/benchmarks --figures docs/performance.json
```

{machine}

Times depend on the machine, ratios depend on it less. So each table gives the time of
one program. For the other programs it gives a ratio: how many times as long they take.
All programs take turns every few milliseconds, in many rounds. A ratio compares two
programs in the same round, so a disturbance affects both. Each number is the median
over the rounds, followed by the lower and upper quartile in brackets. All programs
start from the same weights, and the run first checks that they compute the same.

## A training step

This is the forward pass, the backward pass and the update of a sigmoid network, with
mean squared error and gradient descent, in float32. The columns are layer sizes x batch
size.

{steps}

*by Numba* is `tg.compile(backend="numba")`. *hand NumPy* is the formulas of the
textbook in plain NumPy; it does not compute the loss, which is an advantage over the
others.

There are two effects. In a small network the arithmetic takes very little time, and the
overhead matters: a framework runs through many layers of code before it multiplies
twelve numbers; a compiled step does not. In the largest network, two matrix products
take nearly all the time. There the speed depends on the matrix library, and the program
around it changes little. [From tape to program](from-tape-to-program.md) explains how
the compiler reduces the overhead.

## An epoch of MNIST

One epoch trains a [784, 30, 10] network on 60,000 images in mini-batches of 10. It then
computes the cost and the number of images that are classified correctly. The compiled
`examples/train_mnist.py` takes {seconds} seconds. A program that handles one example
after the other, as in the textbook, takes {epoch} times as long.

## A gradient of a plain NumPy function

The function is `np.tanh(np.dot(x, W) + b).sum()`, for vectors and square matrices `x`.
The table compares `tg.grad`, Tensors with `backward()`, and HIPS autograd.

{gradients}

## Other costs

{rest}
"""


def page() -> str:
    """Return the page as it should be."""
    measured = json.loads(FIGURES.read_text("utf-8"))
    away = measured["share of the time without a processor"]
    epoch = measured["an epoch of MNIST"]
    return TEXT.format(
        machine=machine(**measured["machine"], away=away),
        steps=table("tg.compile", measured["steps"]),
        seconds=figure(epoch["seconds"]),
        epoch=figure(epoch["times as long"]),
        gradients=table("tg.grad", measured["gradients"]),
        rest="\n".join(rest(measured)),
    )


def sentences(measured: dict[str, Any]) -> dict[str, str]:
    """Return what each README says."""
    cases = measured["steps"].values()
    medians = [case["times as long"]["PyTorch"][1] for case in cases]
    ends = {"low": f"{min(medians):.1f}", "high": f"{max(medians):.1f}"}
    busy = measured["share of the time without a processor"] > BUSY
    return {
        name: always + ("" if busy else if_idle.format(**ends))
        for name, (always, if_idle) in SENTENCES.items()
    }


def machine(
    date: str,
    cpu: str,
    cores: int,
    load: list[float | None],
    system: str,
    python: str,
    blas: str,
    versions: dict[str, str],
    away: float,
) -> str:
    others = ", ".join(f"{name} {number}" for name, number in versions.items())
    before, after = load
    busy = f" The load was {before} before the run, {after} after it." if before else ""
    if away > BUSY:
        busy += (
            f" **The machine was busy**: other programs had the core for {away:.0%} of "
            "the time. Measure again on an idle one."
        )
    return (
        f"It ran on {date}, on one of {cores} cores of an {cpu}, {system}, with "
        f"Python {python}, {others}; NumPy's matrix library is {blas}.{busy}"
    )


def table(base: str, cases: dict[str, dict[str, Any]]) -> str:
    """Write a table: the time of one program, and the ratios of the others."""
    lines = [["program", *cases], ["---", *["--:"] * len(cases)]]
    times = (figure(case["microseconds"]) for case in cases.values())
    lines.append([f"**{base}, microseconds**", *times])
    for name in next(iter(cases.values()))["times as long"]:
        ratios = (figure(case["times as long"][name]) for case in cases.values())
        lines.append([f"{name}, times as long", *ratios])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(spread: Spread) -> str:
    """Write the median, and the middle half."""
    low, median, high = map(number, spread)
    return f"{median} ({low} to {high})"


def number(x: float) -> str:
    """Write a number to three digits or so."""
    if x < 1:
        return f"{x:.2f}"
    return f"{x:,.0f}" if x >= 100 else f"{x:#.3g}"


def rest(measured: dict[str, Any]) -> Iterator[str]:
    links = measured["a link of a chain"]
    longer = links["times as long"]
    yield (
        "- **Time is linear in the length of a graph.** In a chain of "
        f"{links['length']:,} multiplications, one multiplication takes "
        f"{figure(links['microseconds'])} microseconds, forward and backward. In "
        f"chains of {listed(f'{int(n):,}' for n in longer)} it takes "
        f"{listed(map(figure, longer.values()))} times as long."
    )
    yield (
        "- **Memory.** For 50 elementwise ops, forward and backward, the peak is "
        f"{measured['peak memory by what must be kept']} times the necessary memory: "
        "one array for each result, and the gradient."
    )
    imports = measured["import"]
    yield (
        f"- **Importing** takes {figure(imports['times as long'])} times as long as "
        f"importing NumPy, in addition to NumPy's own "
        f"{figure(imports['milliseconds of NumPy'])} ms."
    )


def listed(items: Iterable[Any]) -> str:
    *most, last = map(str, items)
    return f"{', '.join(most)} and {last}"


def corrected(name: str) -> str:
    """Return a README with the sentence as it should be."""
    always, if_idle = map(re.escape, SENTENCES[name])
    figures = re.sub(r"\\\{\w+\\\}", r"[\\d.]+", if_idle)
    sentence = sentences(json.loads(FIGURES.read_text("utf-8")))[name]
    old = (ROOT / name).read_text("utf-8")
    new, count = re.subn(f"{always}(?:{figures})?", lambda _: sentence, old)
    assert count == 1, f"{name} says nothing of the figures"
    return new


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    for name in SENTENCES:
        (ROOT / name).write_text(corrected(name), "utf-8")
    print(f"Wrote {PAGE.name}, and the sentence in {' and '.join(SENTENCES)}")
