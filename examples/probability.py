"""Fit a Gaussian process, a posterior and a hidden Markov model by gradients."""

import argparse

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg

with shared.extras():
    import scipy.special  # noqa: F401 (tg.logpdf needs it)
    from matplotlib.figure import Figure


def minimise(loss, p, steps, lr):
    """Change the numbers in a dict by Adam until the loss is small."""
    p = {name: tg.Tensor(value, requires_grad=True) for name, value in p.items()}
    adam = tg.optim.Adam(p.values(), lr)
    for _ in range(steps):
        adam.zero_grad()
        loss(p).backward()
        adam.step()
    return {name: value.numpy() for name, value in p.items()}


# --- A Gaussian process ---------------------------------------------------------------


def covariance(a, b, p):
    distance = (a[:, None] - b) / np.exp(p["length"])
    return np.exp(2 * p["height"] - distance**2 / 2)


def covariance_with_noise(x, p):
    return covariance(x, x, p) + np.exp(2 * p["noise"]) * np.eye(len(x))


def fit_process(x, y):
    def loss(p):
        return -tg.logpdf.multivariate_normal(y, 0.0, covariance_with_noise(x, p))

    return minimise(loss, {"length": 0.0, "height": 0.0, "noise": 0.0}, 150, 0.05)


def predict(new, x, y, p):
    """Return the mean and the standard deviation of the process at new points."""
    weights = np.linalg.solve(covariance_with_noise(x, p), covariance(x, new, p))
    variance = np.exp(2 * p["height"]) - np.sum(covariance(x, new, p) * weights, axis=0)
    return y @ weights, np.sqrt(variance)


# --- Variational inference ------------------------------------------------------------


def log_posterior(w, x, y):
    """Of lines, one in each row of w; a few of the errors may be large."""
    errors = y - (w[:, :1] + w[:, 1:] * x)
    prior = tg.logpdf.norm(w, 0.0, 10.0)
    return np.sum(tg.logpdf.t(errors, 2.0, 0.0, 0.2), 1) + np.sum(prior, 1)


def fit_posterior(x, y, rng):
    def loss(p):
        noise = rng.standard_normal((20, 2))
        lines = p["mean"] + np.exp(p["log_std"]) * noise
        return -np.mean(log_posterior(lines, x, y)) - np.sum(p["log_std"])

    return minimise(loss, {"mean": [0.0, 0.0], "log_std": [-1.0, -1.0]}, 500, 0.05)


# --- A hidden Markov model ------------------------------------------------------------


def log_likelihood(p, emissions):
    """Of a chain; row t of `emissions` has the log-probabilities of what t shows."""
    transition = tg.log_softmax(p["transition"], axis=1)
    alpha = emissions[0] - np.log(2)  # both states are equally likely at first
    for emission in emissions[1:]:
        alpha = tg.logsumexp(alpha[:, None] + transition, axis=0) + emission
    return tg.logsumexp(alpha)


def emissions_of(p, counts):
    return tg.logpdf.poisson(counts[:, None], np.exp(p["log_rate"]))


def fit_chain(counts):
    start = {"transition": [[2.0, 0.0], [0.0, 2.0]], "log_rate": [0.0, 2.0]}
    return minimise(
        lambda p: -log_likelihood(p, emissions_of(p, counts)), start, 100, 0.05
    )


def state_probabilities(p, counts):
    """Return how likely each state is at each time, given all counts."""
    return tg.grad(log_likelihood, 1)(p, emissions_of(p, counts))


# --- Data and pictures ----------------------------------------------------------------


def wave(rng):
    x = np.concatenate([rng.uniform(-4, 0, 12), rng.uniform(1.5, 4, 8)])
    return x, np.sin(1.5 * x) + 0.15 * rng.standard_normal(20)


def line_with_outliers(rng):
    x = np.linspace(-2, 2, 25)
    y = 0.5 + 1.5 * x + 0.2 * rng.standard_normal(25)
    y[[19, 22, 24]] -= [5.0, 6.0, 7.0]
    return x, y


def bursts(rng):
    states = (np.arange(80) // 16) % 2
    return states, rng.poisson(np.where(states, 7.0, 2.0))


def draw_process(axes, rng):
    x, y = wave(rng)
    p = fit_process(x, y)
    new = np.linspace(-5, 5, 201)
    mean, std = predict(new, x, y, p)
    axes.fill_between(new, mean - 2 * std, mean + 2 * std, alpha=0.25)
    axes.plot(new, mean, label="mean, and two standard deviations")
    axes.plot(x, y, "k.", label="measured")
    axes.set(title="A Gaussian process", xlabel="x", ylim=(-3, 3))
    length, height, noise = (np.exp(p[k]) for k in ("length", "height", "noise"))
    print(f"process: length {length:.2f}, height {height:.2f}, noise {noise:.2f}")


def draw_posterior(axes, rng):
    x, y = line_with_outliers(rng)
    p = fit_posterior(x, y, rng)
    mean, std = p["mean"], np.exp(p["log_std"])
    for intercept, slope in np.random.default_rng(0).normal(mean, std, (30, 2)):
        axes.plot(x, intercept + slope * x, color="tab:blue", alpha=0.15)
    axes.plot(x, np.polyval(np.polyfit(x, y, 1), x), "r--", label="least squares")
    axes.plot(x, y, "k.", label="measured")
    axes.set(title="Lines from a posterior", xlabel="x")
    for name, m, s in zip(("intercept", "slope"), mean, std):
        print(f"posterior: {name} {m:.2f} +- {s:.2f}")


def draw_chain(axes, rng):
    states, counts = bursts(rng)
    p = fit_chain(counts)
    probability = state_probabilities(p, counts)[:, 1]
    axes.bar(range(80), counts, color="0.8", label="counts")
    axes.step(range(80), 10 * states, "k:", where="mid", label="true state, times 10")
    axes.plot(10 * probability, color="tab:blue", label="its probability, times 10")
    axes.set(title="A hidden Markov model", xlabel="time", ylim=(0, 18))
    low, high = np.exp(p["log_rate"])
    print(f"chain: rates {low:.2f} and {high:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    seed, picture = shared.number(int, 0), shared.output(*shared.PICTURES)
    add("--seed", type=seed, default=5, help="seed of the data (%(default)s)")
    add("--plot", type=picture, metavar="FILE.png", help="draw the three models")
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for draw, place in zip((draw_process, draw_posterior, draw_chain), axes):
        draw(place, rng)
        place.legend(fontsize="small", loc="upper left")
    if args.plot:
        with shared.writing(args.plot):
            figure.savefig(args.plot, dpi=100)


if __name__ == "__main__":
    shared.run(main)
