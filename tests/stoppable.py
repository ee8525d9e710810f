"""A training to be stopped, as a program: ``python stoppable.py FOLDER EPOCHS``.

It resumes what it finds in the folder, prints a line an epoch, and leaves the final
state in ``final.safetensors`` there. Dropout and the shuffling share a generator.
"""

import sys
from pathlib import Path
from time import sleep

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.train.checkpoints.storage import write_arrays

BATCH, EXAMPLES = 10, 73  # so the last mini-batch is short


def build(seed=0):
    """Return what `fit` needs: model, optimiser, data, and the generator."""
    rng = np.random.default_rng(seed)
    model = tg.nn.Sequential(
        tg.nn.Linear(5, 8, rng),
        tg.nn.Tanh(),
        tg.nn.Dropout(0.2, rng),
        tg.nn.Linear(8, 2, rng),
    )
    optimiser = tg.optim.Adam(model.parameters(), lr=0.01)
    data = np.random.default_rng(9)
    x, y = data.standard_normal((EXAMPLES, 5)), data.random((EXAMPLES, 2))
    return model, optimiser, (x, y), rng


def train(folder, epochs, pause=0.0, progress=False):
    """Train for some epochs in all; return the model, the optimiser and the history."""
    model, optimiser, (x, y), rng = build()

    def slowly(outputs, targets):
        sleep(pause)  # so that there is time to stop it
        return np.abs(outputs - targets).mean()

    history = tg.train.fit(
        model,
        tg.losses.cross_entropy_with_logits,
        optimiser,
        (x, y),
        epochs,
        batch_size=BATCH,
        rng=rng,
        validation=(x[:20], y[:20]),
        metrics={"error": slowly},
        schedule=tg.train.schedules.cosine(0.01, epochs),
        clip=0.5,
        restore_best=True,
        progress=progress,
        checkpoint=folder and tg.checkpoints.Folder(folder, every=3),
        resume=folder is not None,
    )
    return model, optimiser, history


def state(model, optimiser, history):
    """Return all that a training ends with, as arrays by name."""
    numbers = {k: np.array(x) for k, x in optimiser.state_dict().items()}
    columns = {k: history[k] for k in history.names if k != "seconds"}
    return model.state_dict() | numbers | columns


def line(history):
    """Return a line for each epoch: `fit` alone would print some of them only."""
    return f"epoch {len(history)}"


if __name__ == "__main__":
    folder, epochs = sys.argv[1:]
    *trained, history = train(Path(folder), int(epochs), pause=0.02, progress=line)
    print(history.stopped, flush=True)
    if len(history) == int(epochs):
        write_arrays(Path(folder, "final.safetensors"), state(*trained, history))
