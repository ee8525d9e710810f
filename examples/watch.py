"""Watch a network learn: functions that record and functions that draw.

Use or copy them. The recording functions take a model or its outputs, the drawing
functions take arrays. watch_xor.py, watch_mnist.py and watch_layers.py use them.
"""

import json
import sys
from base64 import b64encode
from collections import defaultdict
from html import escape
from io import BytesIO
from itertools import cycle
from string import Template

import shared  # isort: skip  (before NumPy)
import numpy as np

import tinygrad_edu as tg

with shared.extras():
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from PIL import Image
    from rich.progress import track

# Colour-blind people can tell them apart, and they are dark enough for text.
COLOURS = "#0072B2", "#D55E00", "#008060", "#A0467A"

# --- Record ---------------------------------------------------------------------------


class History(defaultdict):
    """A list of values for each name; `record` appends to the lists."""

    def __init__(self):
        super().__init__(list)

    def record(self, **quantities):
        for name, value in quantities.items():
            self[name].append(np.array(value))  # a copy: training changes parameters


def output_on_square(model, side):
    """Return the model's output at (x1, x2) for all x1 (columns) and x2 (rows)."""
    with tg.no_grad():
        return model(np.stack(np.meshgrid(side, side), axis=-1)).numpy()[..., 0]


def activations(model, x):
    """Return the activations of each layer, the output last: a row per example."""
    layers = []
    with tg.no_grad():
        for w, b in zip(model.weights, model.biases):
            x = tg.sigmoid(tg.linear(x, w, b))
            layers.append(x.numpy())
    return layers


def saturation(layers, margin=0.05):
    """Return the share of each layer's activations that are within `margin` of 0 or 1.

    There the sigmoid is flat, and almost no gradient passes through.
    """
    return [np.mean((a < margin) | (a > 1 - margin)) for a in layers]


def gradient_norms(parameters):
    """Return the norm of each parameter's gradient, after backward()."""
    return [np.linalg.norm(p.grad.numpy()) for p in parameters]


def confusion_matrix(labels, answers, classes=10):
    """Count the examples by label (row) and by prediction (column)."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, answers), 1)
    return counts


def mistakes(outputs, labels):
    """Return the indices of misclassified examples, the most confident ones first."""
    wrong = np.flatnonzero(outputs.argmax(axis=1) != labels)
    return wrong[np.argsort(-outputs[wrong].max(axis=1), kind="stable")]


# --- Draw -----------------------------------------------------------------------------


def draw_boundary(axes, side, output, x, y, weights=(), biases=()):
    """Draw the output on a square, the points x with targets y, and hidden neurons.

    For a hidden neuron, draw the dashed line where its activation is 1/2: w x + b = 0.
    """
    ends, span = (side[0], side[-1]), side[-1] - side[0]
    half = span / (len(side) - 1) / 2  # of a pixel, since a point is at its centre
    extent = (side[0] - half, side[-1] + half) * 2
    bands = {"cmap": colormaps["coolwarm"].resampled(20), "vmin": 0, "vmax": 1}
    shades = axes.imshow(output, origin="lower", extent=extent, **bands)
    if output.min() < 0.5 < output.max():
        axes.contour(side, side, output, levels=[0.5], colors="black", linewidths=2)
    centre = np.full(2, side.mean())
    for w, b in zip(weights, biases):
        foot = centre - (w @ centre + b) / (w @ w) * w  # nearest point
        along = span / np.linalg.norm(w) * np.array([-w[1], w[0]])
        axes.plot(*zip(foot - along, foot + along), "--", color="black", linewidth=1)
    axes.scatter(*x.T, s=250, color="white", edgecolors="black", zorder=3)
    for point, (target,) in zip(x, y):
        axes.text(*point, f"{target:.0f}", ha="center", va="center_baseline", zorder=4)
    axes.set(xlim=ends, ylim=ends, xlabel="$x_1$", ylabel="$x_2$")
    axes.set(xticks=[0, 1], yticks=[0, 1])
    return shades


def film_boundary(title, side, x, y, history):
    """Draw the moving boundary and the loss; yield the figure of each frame.

    The history contains the loss of each epoch, from 0 on. For each frame it contains
    the epoch, the output on the square, and the hidden neurons' weights and biases.
    """
    losses = np.array(history["loss"])
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    figure.suptitle(title)
    plane, curve = figure.subplots(1, 2)
    curve.set(xlim=(0, len(losses) - 1), ylim=(0, 1.05 * losses.max()))
    curve.set(title="Loss", xlabel="epoch", ylabel="cross-entropy")
    curve.grid(alpha=0.3)
    curve.axhline(np.log(2), color="black", linestyle=":")
    text = "ln 2: the loss of saying ½ "
    curve.text(len(losses) - 1, np.log(2) - 0.01, text, ha="right", va="top")
    (line,) = curve.plot([], [], color=COLOURS[0])
    (tip,) = curve.plot([], [], "o", color=COLOURS[0], clip_on=False)

    names = "epoch", "output", "weights", "biases"
    for frame, (epoch, output, w, b) in enumerate(zip(*map(history.get, names))):
        plane.clear()
        shades = draw_boundary(plane, side, output, x, y, w, b)
        plane.set_title(f"After {epoch} epochs")
        plane.set_xlabel("$x_1$\nsolid: output ½, dashed: a hidden neuron at ½")
        line.set_data(range(epoch + 1), losses[: epoch + 1])
        tip.set_data([epoch], [losses[epoch]])
        if frame == 0:
            figure.colorbar(shades, label="output", ax=plane)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # keep the layout in all frames
        yield figure


def draw_weights(weights, shape=(28, 28), columns=10):
    """Draw the weights of each hidden neuron, a row of `weights`, as an image."""
    rows = -(-len(weights) // columns)
    height, width = shape[0] + 2, shape[1] + 2  # with a gap around each image
    wall = np.full((rows * columns, height, width), np.nan)
    wall[: len(weights), 1:-1, 1:-1] = weights.reshape(-1, *shape)
    wall = wall.reshape(rows, columns, height, width).swapaxes(1, 2)
    # With the largest weights as the limit, all others would look pale.
    limit = np.quantile(abs(weights), 0.995)

    figure = Figure(figsize=(8, 0.7 + 0.7 * rows), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        wall.reshape(rows * height, columns * width),
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
    )
    axes.axis("off")
    axes.set_title(
        f"What {len(weights)} hidden neurons look for: ink in the red, none in the blue"
    )
    figure.colorbar(image, label="weight", extend="both", extendfrac=0.02, aspect=40)
    return figure


def draw_mistakes(images, labels, outputs, columns=8, rows=3):
    """Draw the misclassified images with the most confident outputs."""
    wrong = mistakes(outputs, labels)
    shown = wrong[: rows * columns]
    figure = Figure(figsize=(8, 0.4 + 1.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns).flat
    for axes, i in zip(panels, shown):
        answer = outputs[i].argmax()
        axes.imshow(images[i], cmap="gray_r")
        axes.set_title(
            f"says {answer}, is {labels[i]}\n{outputs[i, answer]:.1%} sure", size=9
        )
    for axes in figure.axes:
        axes.axis("off")
    figure.suptitle(
        f"Misread with the most certainty: {len(shown)} of {len(wrong):,} mistakes "
        f"on {len(labels):,} digits"
    )
    return figure


def draw_confusion(counts):
    """Draw a confusion matrix, coloured by errors, with the accuracies at the right."""
    right = np.diag(counts)
    errors = counts - np.diag(right)
    most = errors.max()
    digit, answer = np.unravel_index(errors.argmax(), errors.shape)

    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("#E0E0E0")  # the colour of the diagonal
    off_diagonal = np.ma.masked_array(errors, np.eye(len(counts), dtype=bool))
    axes.imshow(off_diagonal, cmap="Oranges", vmin=0, vmax=max(1, most))
    for (i, j), count in np.ndenumerate(counts):
        if count:
            colour = "white" if i != j and count > 0.6 * most else "black"
            axes.text(j, i, f"{count:,}", ha="center", va="center", color=colour)
    for i, share in enumerate(right / np.maximum(1, counts.sum(axis=1))):
        axes.text(len(counts) - 0.3, i, f"{share:.1%} right", va="center")
    axes.set(xlabel="the network's answer", ylabel="the digit")
    axes.set(xticks=range(len(counts)), yticks=range(len(counts)))
    title = f"{errors.sum():,} of {counts.sum():,} digits are misread"
    axes.set_title(title + f", most often {digit} as {answer}" * bool(most))
    return figure


def draw_layers(panels, title, ylabel, xlabel="epoch", **settings):
    """Draw a quantity of each hidden layer during training, with a panel per network.

    `panels` maps the title of a panel to an array: a row for each epoch, from 0 on, and
    a column for each layer. `settings` are passed to the axes: scales and limits.
    """
    figure = Figure(figsize=(8, 3.9), layout="constrained")
    figure.suptitle(title)
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (name, values) in zip(row, panels.items()):
        axes.set(title=name, xlabel=xlabel, xlim=(0, len(values) - 1), **settings)
        for layer, (curve, colour) in enumerate(zip(values.T, cycle(COLOURS)), 1):
            axes.plot(curve, color=colour, label=f"layer {layer}")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    row[0].set_ylabel(ylabel)
    for axes in row:
        label_ends(axes)
    return figure


def label_ends(axes, gap=0.065):
    """Write the label of each line at its right end, at least `gap` apart."""
    bottom, top = axes.transScale.transform([(1, y) for y in axes.get_ylim()])[:, 1]
    floor = 0.0
    for line in sorted(axes.get_lines(), key=lambda line: line.get_ydata()[-1]):
        end = axes.transScale.transform((1, line.get_ydata()[-1]))[1]
        height = max(floor, (end - bottom) / (top - bottom))
        style = {"color": line.get_color(), "va": "center"}
        axes.text(1.02, height, line.get_label(), transform=axes.transAxes, **style)
        floor = height + gap


# --- Save -----------------------------------------------------------------------------

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
  body { font: 16px sans-serif; text-align: center }
  img { max-width: 100% }
  input { width: 60%; vertical-align: middle }
  button { width: 5em; font: inherit }
</style>
<img alt="$title">
<p>
  <button></button>
  <input type="range" min="0" value="0" aria-label="frame">
</p>
<script>
  const frames = $frames;
  const [picture, play, slider] = document.querySelectorAll("img, button, input");
  let timer = 0;
  slider.max = frames.length - 1;
  const atEnd = () => slider.value === slider.max;
  const show = () => { picture.src = frames[slider.value] };
  const stop = () => { timer = clearInterval(timer); play.textContent = "Play" };
  const step = () => { slider.stepUp(); show(); if (atEnd()) stop() };
  const start = () => {
    if (atEnd()) slider.value = 0;
    timer = setInterval(step, $milliseconds);
    play.textContent = "Pause";
  };
  play.onclick = () => timer ? stop() : start();
  slider.oninput = () => { stop(); show() };
  show();
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) stop(); else start();
</script>
</html>
"""


def save(figure, path):
    with shared.writing(path):
        figure.savefig(path, dpi=150)


def save_film(figures, path, title, milliseconds=80, rest=3000):
    """Write the figures as an animated GIF or a self-contained web page.

    The GIF shows the last figure for `rest` milliseconds, then starts again.
    """
    images = []
    for figure in figures:
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=100)
        images.append(Image.open(buffer).convert("RGB"))
    # With one palette for all frames, the file is a third as large, and no flicker.
    palette = images[-1].quantize(128, Image.Quantize.FASTOCTREE)
    images = [i.quantize(palette=palette, dither=Image.Dither.NONE) for i in images]
    if path.suffix == ".gif":
        times = [milliseconds] * (len(images) - 1) + [rest]
        how = {"save_all": True, "append_images": images[1:], "duration": times}
        with shared.writing(path):
            images[0].save(path, loop=0, **how)
    else:
        frames = json.dumps([data_url(image) for image in images], indent=2)
        parts = {"title": escape(title), "milliseconds": milliseconds}
        page = Template(PAGE).substitute(parts, frames=frames)
        with shared.writing(path):
            path.write_text(page, encoding="utf-8")


def data_url(image):
    """Return a data URL that contains the image."""
    buffer = BytesIO()
    image.save(buffer, format="png", optimize=True)
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"


def progress(steps, what, total=None):
    """Iterate over the steps, with a progress bar on a terminal."""
    shown = sys.stdout.isatty()
    return track(steps, what, total, transient=True, disable=not shown)
