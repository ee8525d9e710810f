"""Make every slip in every network, and count what `compare` says of it.

For the table of all of them: python tests/slip_table.py
"""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from typing import NamedTuple

import numpy as np

import tinygrad_edu as tg

LN10, LN2 = np.log(10), np.log(2)
UNNAMED = re.compile(r"it is \S+ and should be|no common slip|it has the shape")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class Network(NamedTuple):
    sizes: tuple[int, ...]
    cost: str = "mse"
    examples: int = 5
    lam: float = 0.0
    n: int = 50  # the size of the training set
    seed: int = 0

    def __str__(self):
        penalty = ", L2" * bool(self.lam)
        return f"{list(self.sizes)} x {self.examples}, {self.cost}{penalty}"


class Slip(NamedTuple):
    """A slip by name, at a layer, and what is to be said of it."""

    name: str
    layer: int
    expected: str

    def __str__(self):
        return f"{self.name} at layer {self.layer}" if self.layer else self.name


class Made:
    """A network, its loss, and its gradients by hand with some slips."""

    def __init__(self, network, slips, by_ops=False):
        self.network, self.slips = network, {(s.name, s.layer) for s in slips}
        rng = np.random.default_rng(network.seed)
        pairs = list(zip(network.sizes[:-1], network.sizes[1:]))
        self.w = [rng.standard_normal((m, n)) for n, m in pairs]
        self.b = [rng.standard_normal(m) for _, m in pairs]
        self.x = rng.random((network.examples, network.sizes[0]))
        self.y = rng.random((network.examples, network.sizes[-1]))
        self.by_ops = by_ops

    def has(self, name, layer=0):
        return (name, layer) in self.slips

    def loss(self):
        if self.by_ops:
            return self._loss_by_ops()
        model = tg.nn.MLP(self.network.sizes, rng=0)
        for p, data in zip(model.parameters(), self.w + self.b, strict=True):
            p.data = data
        if self.network.cost == "mse":
            loss = tg.losses.mse(model(self.x), self.y)
        else:
            loss = tg.losses.cross_entropy_with_logits(model.logits(self.x), self.y)
        if self.network.lam:
            loss = loss + tg.losses.l2(model.weights, self.network.lam, self.network.n)
        return loss, model.parameters()

    def _loss_by_ops(self):
        w = [
            tg.Tensor(w, requires_grad=True, name=f"W{i}")
            for i, w in enumerate(self.w, 1)
        ]
        b = [
            tg.Tensor(b, requires_grad=True, name=f"b{i}")
            for i, b in enumerate(self.b, 1)
        ]
        a = self.x
        for w_l, b_l in zip(w, b):
            a = tg.sigmoid(a @ w_l.T + b_l)
        y, n = self.y, len(self.x)
        if self.network.cost == "mse":
            loss = ((a - y) ** 2).sum() / (2 * n)
        else:
            loss = -(y * tg.log(a) + (1 - y) * tg.log(1 - a)).sum() / n
        if self.network.lam:
            square = sum(((w_l * w_l).sum() for w_l in w[1:]), (w[0] * w[0]).sum())
            loss = loss + self.network.lam / (2 * self.network.n) * square
        return loss, [*w, *b]

    def gradients(self):
        has, n, depth = self.has, len(self.x), len(self.w)
        zs, acts = [], [self.x]
        for i, (w, b) in enumerate(zip(self.w, self.b), 1):
            zs.append(acts[-1] @ w.T + (0 if has("forward without bias", i) else b))
            acts.append(sigmoid(zs[-1]))
        a, y = acts[-1], self.y
        error = a - y
        if has("(N,) against (N, 1)"):
            error = (a - y.T).sum(axis=1, keepdims=True)
        if has("(N,) against (N, 1), mean"):
            error = (a - y.T).mean(axis=1, keepdims=True)
        error = error / n
        for name, k in (
            ("sign", -1),
            ("sum for mean", n),
            ("mean over outputs", 1 / y.shape[1]),
            ("mean of a mean", 1 / n),
            ("factor 2", 2),
            ("factor 1/2", 0.5),
            ("log base 10", 1 / LN10),
            ("log base 2", 1 / LN2),
        ):
            if has(name):
                error = error * k
        deltas, dw, db = {}, {}, {}
        for i in range(depth, 0, -1):
            a = acts[i]
            if i < depth:
                w = self.w[i]
                if has("W transposed", i):
                    w = w.T
                if has("W of another layer", i):
                    w = self.w[i - 1]
                if has("updated early"):
                    w = w - 0.3 * dw[i + 1]
                back = deltas[i + 1] @ w
            else:
                back = error
            prime = a * (1 - a)
            if has("1 - a missing", i):
                prime = a
            if has("a missing", i):
                prime = 1 - a
            if has("sigma' missing", i):
                prime = 1.0
            if has("sigma' at a", i):
                prime = sigmoid(a) * (1 - sigmoid(a))
            if has("sigma' twice", i):
                prime = prime**2
            if has("sigma' of another layer", i):
                prime = acts[i + 1] * (1 - acts[i + 1])
            if i == depth and self.network.cost != "mse":
                prime = 1.0
                if has("sigma' in cross-entropy"):
                    prime = a * (1 - a)
            delta = back * prime
            if has("delta missing", i):
                delta = prime * np.ones_like(a)
            if has("sign of delta", i):
                delta = -delta
            deltas[i] = delta
            d = deltas[i + 1] if has("delta off by one", i) else delta
            before = acts[i - 1]
            if has("own activation", i):
                before = acts[i]
            if has("x for a", i):
                before = self.x
            dw[i] = d.T @ before
            db[i] = d.sum(axis=0)
            if has("only the last example", i):
                dw[i], db[i] = d[-1:].T @ before[-1:], d[-1]
            if has("W not summed", i):
                dw[i] = d[:, :, None] * before[:, None, :]
            if has("b not summed", i):
                db[i] = d
            if has("b summed over outputs", i):
                db[i] = d.sum(axis=1)
            if has("b mean", i):
                db[i] = d.mean(axis=0)
            if has("sign of dW", i):
                dw[i] = -dw[i]
            if has("b forgotten", i):
                db[i] = 0 * db[i]
            if self.network.lam:
                size = n if has("L2 by the batch") else self.network.n
                if not has("L2 forgotten"):
                    dw[i] = dw[i] + self.network.lam / size * self.w[i - 1]
                if has("L2 on biases"):
                    db[i] = db[i] + self.network.lam / size * self.b[i - 1]
                if has("L2 twice"):
                    dw[i] = dw[i] + self.network.lam / size * self.w[i - 1]
            if has("dW transposed", i):
                dw[i] = dw[i].T
        layers = range(1, depth + 1)
        if has("layers swapped"):
            dw[1], dw[2] = dw[2], dw[1]
        return [dw[i] for i in layers] + [db[i] for i in layers]


def slips_of(network):
    """Return the slips that can be made in a network and change a gradient."""
    sizes, n, m = network.sizes, network.examples, network.sizes[-1]
    depth = len(sizes) - 1
    found = [
        Slip("sign", 0, "sign is flipped"),
        Slip("factor 2", 0, "twice as large"),
        Slip("factor 1/2", 0, "half as large"),
    ]
    if n > 1:
        found += [
            Slip("sum for mean", 0, f"{n} times too large: divide by the number of ex"),
            Slip("mean of a mean", 0, f"{n} times too small: do not divide by the n"),
        ]
    if m > 1:
        found += [Slip("mean over outputs", 0, f"{m} times too small|half as large")]
    if network.cost == "mse":
        if n > 1 and m == 1:
            found += [
                Slip("(N,) against (N, 1)", 0, "every target"),
                Slip("(N,) against (N, 1), mean", 0, "every target"),
            ]
    else:
        found += [
            Slip("log base 10", 0, "ln 10"),
            Slip("log base 2", 0, "ln 2"),
            Slip("sigma' in cross-entropy", 0, "does not belong|one time too many"),
        ]
    for i in range(1, depth + 1):
        z = f"z{i}"
        has_prime = network.cost == "mse" or i < depth
        if has_prime:
            found += [
                Slip("1 - a missing", i, rf"the factor \(1 - a{i}\) is missing"),
                Slip("a missing", i, rf"the factor a{i} is missing"),
                Slip("sigma' missing", i, rf"sigma'\({z}\) is missing"),
                Slip("sigma' at a", i, rf"sigma'\({z}\) is taken at"),
                Slip("sigma' twice", i, rf"sigma'\({z}\) is there one time too many"),
            ]
            if i < depth:
                found += [Slip("sign of delta", i, "sign is flipped")]
        if i < depth:
            found += [Slip("delta missing", i, rf"the factor dloss/da{i} is missing")]
        if i < depth and has_prime and sizes[i] == sizes[i + 1]:
            found += [Slip("sigma' of another layer", i, "is used in place of sigma'")]
            found += [Slip("delta off by one", i, f"delta{i + 1} is used in place")]
            if sizes[i] > 1:
                found += [Slip("W transposed", i, f"W{i + 1} and its transpose")]
            if sizes[i - 1] == sizes[i]:
                found += [Slip("W of another layer", i, f"W{i}.* in place of W{i + 1}")]
        if sizes[i - 1] == sizes[i]:
            found += [Slip("own activation", i, f"a{i} is used in place of")]
            if sizes[i] > 1:
                found += [Slip("dW transposed", i, "transposed")]
        elif sizes[i] > 1 or sizes[i - 1] > 1:
            found += [Slip("dW transposed", i, "transposed")]
        if i > 1 and sizes[0] == sizes[i - 1]:
            found += [Slip("x for a", i, "x is used in place of|c1 is used in place")]
        if n > 1:
            found += [
                Slip("only the last example", i, "only the last example"),
                Slip("W not summed", i, "not summed over"),
                Slip("b not summed", i, "not summed over"),
                Slip("b mean", i, f"{n} times too small"),
            ]
            if sizes[i] > 1:
                found += [Slip("b summed over outputs", i, "axis 1")]
        found += [
            Slip("sign of dW", i, "sign is flipped"),
            Slip("forward without bias", i, f"b{i} is left out"),
            Slip("b forgotten", i, "it is zero"),
        ]
    if depth > 1:
        found += [Slip("updated early", 0, "was updated before")]
        if sizes[0] == sizes[1] == sizes[2]:
            found += [Slip("layers swapped", 0, "gradient with respect to")]
    if network.lam:
        found += [
            Slip("L2 forgotten", 0, "penalty on .* is missing"),
            Slip("L2 on biases", 0, "biases are not penalised"),
            Slip("L2 by the batch", 0, "size of the training set"),
            Slip("L2 twice", 0, "penalty is 2 times"),
        ]
    return found


NETWORKS = [
    Network(sizes, cost, examples, lam)
    for sizes in [(3, 2), (3, 4, 2), (2, 3, 1), (3, 3, 3), (4, 3, 5, 2), (1, 1, 1)]
    for cost in ("mse", "cross-entropy")
    for examples in (1, 6)
    for lam in (0.0, 0.7)
]


def pairs_of(network):
    slips = slips_of(network)
    for one, other in combinations(slips, 2):
        if one.name == other.name:
            continue
        scales = {"sign", "sum for mean", "factor 2", "factor 1/2", "log base 10"}
        if {one.name, other.name} & scales or (
            one.layer and other.layer and one.layer != other.layer
        ):
            yield one, other


def verdict_on(network, slips, by_ops=False):
    """Return "right", "not named" or "wrong", and the comparison."""
    made = Made(network, slips, by_ops)
    loss, parameters = made.loss()
    mine = made.gradients()
    if all(
        np.shape(g) == np.shape(r) and np.allclose(g, r, rtol=1e-6)
        for g, r in zip(mine, Made(network, ()).gradients())
    ):
        return None, None
    comparison = tg.compare(mine, loss, parameters)
    if comparison:
        return "wrong", comparison
    said = [row.verdict for row in comparison if row.verdict != "right"]
    named = [v for v in said if not UNNAMED.search(v) and "inherited" not in v]
    for text in named:
        if not any(re.search(slip.expected, text) for slip in slips):
            return "wrong", comparison
    everything = " ".join(named)
    if all(re.search(slip.expected, everything) for slip in slips):
        return "right", comparison
    return "not named", comparison


def outcomes_of(network):
    """Return (slip's name, outcome) for each slip alone, and the outcomes of pairs.

    What went wrong is said in words, third.
    """
    singles, pairs, wrong = Counter(), Counter(), []

    def judged(slips, by_ops=False):
        outcome, comparison = verdict_on(network, slips, by_ops)
        if outcome == "wrong":
            made = " and ".join(map(str, slips))
            wrong.append(f"{network}: {made}\n{comparison}")
        return outcome

    for slip in slips_of(network):
        for by_ops in (False, True):
            singles[slip.name, judged([slip], by_ops)] += 1
    for pair in pairs_of(network):
        pairs[judged(pair)] += 1
    return singles, pairs, wrong


OUTCOMES = ("right", "not named", "wrong")
LINE = "{:32}{:>9}{:>9}{:>9}"


def print_table(networks=NETWORKS):
    """Print how often slips are named right: by slip, by network, and in all."""
    singles, pairs, wrong = Counter(), Counter(), []
    print(LINE.format("network (singles and pairs)", *OUTCOMES), flush=True)
    with ProcessPoolExecutor() as pool:
        results = pool.map(outcomes_of, networks)
        for network, (its_singles, its_pairs, its_wrong) in zip(networks, results):
            counts = its_pairs.copy()
            for (_, outcome), n in its_singles.items():
                counts[outcome] += n
            print(LINE.format(str(network), *(counts[o] for o in OUTCOMES)), flush=True)
            singles, pairs = singles + its_singles, pairs + its_pairs
            wrong += its_wrong
    print("\n" + LINE.format("slip", *OUTCOMES))
    for name in dict.fromkeys(name for name, _ in singles):
        print(LINE.format(name, *(singles[name, o] for o in OUTCOMES)))
    for what, counts in (
        (
            "all singles",
            [
                sum(n for (_, o), n in singles.items() if o == outcome)
                for outcome in OUTCOMES
            ],
        ),
        ("all pairs", [pairs[outcome] for outcome in OUTCOMES]),
    ):
        print(LINE.format(what, *counts), f"  {counts[0] / sum(counts):.1%} right")
    print("".join(f"\n{text}" for text in wrong), end="")


if __name__ == "__main__":
    print_table()
