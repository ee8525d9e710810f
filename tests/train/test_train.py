"""`fit` is the loop that one would write by hand, and does what it is asked besides."""

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.train import fitting
from tinygrad_edu.train.fitting import accuracy, evaluate, fit


def examples(n=43, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4))
    return x, tg.data.one_hot(np.abs(x).argmax(axis=1) % 3, 3, float)


def network(seed=1, **options):
    model = tg.nn.MLP([4, 6, 3], seed, **options)
    return model, tg.optim.SGD(model.parameters(), 0.5, momentum=0.9)


def run(epochs=3, seed=1, loss=tg.losses.mse, *, of=None, data=None, **options):
    """Train a network on examples, by default the same; return it and its history."""
    model, optimiser = of or network(seed)
    options = {"rng": 0, "progress": False} | options
    return model, fit(model, loss, optimiser, data or examples(), epochs, **options)


def weights(model):
    return [p.numpy().copy() for p in model.parameters()]


def same(model, other):
    """Whether two models have the same weights, to the last bit."""
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return all(p.numpy().tobytes() == q.numpy().tobytes() for p, q in pairs)


# --- The loop -------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(
    batch_size=st.integers(1, 50),
    shuffle=st.booleans(),
    clip=st.sampled_from([None, 0.1]),
    compile=st.booleans(),
)
def test_it_is_the_loop_one_would_write(batch_size, shuffle, clip, compile):
    x, y = examples()
    model, history = run(
        batch_size=batch_size, shuffle=shuffle, clip=clip, compile=compile
    )
    other, optimiser = network()
    rng, losses = np.random.default_rng(0), []
    for _ in range(3):
        epoch = []
        for batch in tg.data.minibatches(x, y, batch_size, rng if shuffle else None):
            loss = tg.losses.mse(other(batch[0]), batch[1])
            optimiser.zero_grad()
            loss.backward()
            if clip:
                norm = np.sqrt(sum((p.grad.data**2).sum() for p in optimiser.params))
                for p in optimiser.params:
                    p.grad.data[...] *= min(1.0, clip / norm)
            optimiser.step()
            epoch.append(loss.item())
        losses.append(np.mean(epoch))
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-9)
    for found, expected in zip(weights(model), weights(other), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-11)
    assert history.names == ["loss", "seconds"]
    assert (history["seconds"] > 0).all()
    assert history.stopped == "all epochs are done"


def test_a_seed_makes_it_the_same_to_the_last_bit():
    (model, history), (other, again) = run(), run()
    assert same(model, other)
    assert history["loss"].tobytes() == again["loss"].tobytes()
    assert not same(model, run(rng=1)[0])
    assert same(model, run(rng=np.random.default_rng(0))[0])


def test_two_arrays_are_shuffled_and_taken_ten_rows_at_a_time_unless_told_otherwise():
    data = examples(110)
    model, optimiser = of = network()
    run(1, data=data, of=of)
    assert optimiser.steps == 11
    assert same(model, run(1, data=data, batch_size=10, shuffle=True)[0])
    assert not same(model, run(1, data=data, shuffle=False)[0])


def test_methods_and_functions_are_models_too():
    loss = tg.losses.cross_entropy_with_logits
    model, optimiser = network()
    run(2, loss=loss, of=(model.logits, optimiser))
    other, optimiser = network()
    run(2, loss=loss, of=(lambda x: other.logits(x), optimiser))
    assert same(model, other)


def test_mini_batches_of_ones_own_are_run_epoch_after_epoch():
    x, y = examples()
    batches = list(tg.data.minibatches(x, y, 10))
    model, _ = run(shuffle=False)
    assert same(model, run(data=batches)[0])
    assert same(run()[0], run(data=lambda rng: tg.data.minibatches(x, y, 10, rng))[0])
    with pytest.raises(ValueError, match="gave 0 mini-batches for epoch 2, of which 0"):
        run(data=iter(batches))


def test_a_penalty_is_a_part_of_the_loss():
    model, _ = of = network()

    def loss(outputs, targets):
        return tg.losses.mse(outputs, targets) + tg.losses.l2(model.weights, 9.0, 43)

    _, history = run(30, loss=loss, of=of)
    plain, _ = run(30)
    assert sum((w**2).sum() for w in weights(model)) < 0.3 * sum(
        (w**2).sum() for w in weights(plain)
    )
    assert history["loss"][-1] < history["loss"][0]


def test_what_cannot_be_compiled_is_trained_all_the_same():
    def branching(outputs, targets):
        loss = tg.losses.mse(outputs, targets)
        return loss if loss.item() < 9 else 9 * loss

    with pytest.warns(UserWarning, match="training step cannot be compiled and runs"):
        model, _ = run(loss=branching)
    plain, _ = run(compile=False)
    assert same(model, plain)


def test_dropout_trains_compiled_and_drops_nothing_in_evaluation():
    def train(compile):
        rng = np.random.default_rng(3)
        layers = (
            tg.nn.Linear(4, 8, rng),
            tg.nn.Dropout(0.5, rng),
            tg.nn.Linear(8, 3, rng),
        )
        model = tg.nn.Sequential(*layers)
        seen = []

        def watch(history):
            seen.append(model.training)

        _, history = run(
            of=(model, tg.optim.SGD(model.parameters(), 0.1)),
            rng=rng,
            validation=examples(20),
            callbacks=[watch],
            compile=compile,
        )
        assert not model.training
        assert seen == [False] * 3
        figures = evaluate(model, tg.losses.mse, examples(20))
        assert figures["loss"] == pytest.approx(history["validation_loss"][-1])
        return history["loss"]

    compiled, plain = train(True), train(False)
    np.testing.assert_allclose(compiled, plain, rtol=1e-9)


# --- Evaluation -----------------------------------------------------------------------


def test_validation_is_measured_after_each_epoch():
    data, held_out = examples(), examples(20, seed=5)
    judges = {"accuracy": accuracy}
    seen = []
    model, _ = of = network()

    def look(history):
        seen.append(evaluate(model, tg.losses.mse, held_out, judges))

    sets = {"train": data, "test": held_out}
    _, history = run(4, of=of, validation=sets, metrics=judges, callbacks=[look])
    assert history.names == [
        *("loss", "train_loss", "train_accuracy", "test_loss", "test_accuracy"),
        "seconds",
    ]
    for figures, row in zip(seen, history, strict=True):
        assert row["test_loss"] == pytest.approx(figures["loss"], rel=1e-12)
        assert row["test_accuracy"] == figures["accuracy"]
    assert run(validation=held_out)[1].names == ["loss", "validation_loss", "seconds"]


def test_evaluating_leaves_the_model_as_it_was():
    model = tg.nn.Sequential(tg.nn.Linear(4, 3, 0), tg.nn.Dropout(0.5, 0))
    for mode in (True, False):
        model.train(mode)
        first, second = (evaluate(model, tg.losses.mse, examples()) for _ in range(2))
        assert first == second
        assert model.training is mode
        assert model[1].training is mode
    figures = evaluate(lambda x: x[:, :3], tg.losses.mse, examples())
    x, y = examples()
    assert figures["loss"] == pytest.approx(tg.losses.mse(x[:, :3], y).item())


@pytest.mark.parametrize(
    ("outputs", "targets", "share"),
    [
        ([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]], [[0, 1], [0, 1], [0, 1]], 2 / 3),
        ([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]], [1, 1, 1], 2 / 3),
        ([[0.1], [0.9], [0.5], [0.6]], [[0], [1], [1], [0]], 1 / 2),
    ],
)
def test_accuracy_is_the_share_of_right_answers(outputs, targets, share):
    assert accuracy(np.array(outputs), np.array(targets)) == pytest.approx(share)


@given(rows=st.integers(1, 8), classes=st.integers(2, 4), seed=st.integers(0, 99))
def test_accuracy_counts_the_right_answers_one_by_one(rows, classes, seed):
    rng = np.random.default_rng(seed)
    outputs, labels = rng.random((rows, classes)), rng.integers(classes, size=rows)
    right = [row[label] == row.max() for row, label in zip(outputs, labels)]
    for targets in (labels, np.eye(classes)[labels]):
        assert accuracy(outputs, targets) == pytest.approx(np.mean(right))
    yes, wanted = outputs[:, :1], rng.integers(2, size=(rows, 1))
    right = [(y > 0.5) == bool(t) for (y,), (t,) in zip(yes, wanted)]
    assert accuracy(yes, wanted) == pytest.approx(np.mean(right))


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((3, 2), (3, 1)), ((3, 2), (2,))])
def test_accuracy_refuses_shapes_that_do_not_go_together(shapes):
    with pytest.raises(ValueError, match=r"^accuracy: .* \(N, classes\), and targets"):
        accuracy(*map(np.zeros, shapes))


# --- The learning rate ----------------------------------------------------------------


def test_a_schedule_gives_the_rate_of_each_epoch_and_the_end():
    told = []

    def schedule(epoch, history):
        told.append((epoch, len(history), history["loss"].tolist() if epoch else []))
        return 0.5 / (epoch + 1) if epoch < 3 else None

    model, history = run(9, schedule=schedule)
    np.testing.assert_array_equal(history["lr"], [0.5, 0.25, 0.5 / 3])
    assert history.stopped == "the schedule ended it"
    losses = history["loss"].tolist()
    assert told == [(e, e, losses[:e]) for e in range(4)]
    other, optimiser = of = network()
    rng = np.random.default_rng(0)
    for rate in history["lr"]:
        optimiser.lr = rate
        run(1, of=of, rng=rng)
    assert same(model, other)


def test_halving_when_validation_stalls_ends_at_1_128th():
    """So small a rate changes nothing, and so every epoch but the first one stalls."""
    halve = tg.train.schedules.halve_on_stall(
        1e-30, patience=1, monitor="validation_loss", best=min
    )
    _, history = run(99, schedule=halve, validation=examples(9))
    rates = [1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64]
    np.testing.assert_array_equal(history["lr"], 1e-30 * np.array(rates))
    assert history.stopped == "the schedule ended it"


# --- The best epoch -------------------------------------------------------------------


def jumping(values):
    """Return the options for a figure that takes these values, one an epoch."""
    values = iter(values)
    return {
        "validation": examples(9),
        "metrics": {"jump": lambda outputs, targets: next(values)},
        "monitor": "validation_jump",
    }


def test_training_ends_when_nothing_gets_better_with_the_best_weights():
    kept = []
    model, _ = of = network()
    _, history = run(
        20,
        of=of,
        **jumping([0.5, 0.7, 0.7, 0.6, np.nan, 0.1]),
        best=max,
        patience=3,
        callbacks=[lambda history: kept.append(weights(model))],
    )
    assert len(history) == 5
    assert history.stopped == "validation_jump has not improved for 3 epochs"
    for found, expected in zip(weights(model), kept[1]):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("restore_best", [True, False, None])
def test_the_weights_are_those_of_the_best_epoch_or_of_the_last(restore_best):
    kept = []
    model, _ = of = network()
    run(
        4,
        of=of,
        **jumping([0.5, 0.3, 0.4, 0.6]),
        restore_best=restore_best,
        callbacks=[lambda history: kept.append(weights(model))],
    )
    for found, expected in zip(weights(model), kept[1 if restore_best else -1]):
        np.testing.assert_array_equal(found, expected)


def test_epochs_are_compared_by_the_validation_loss_if_there_is_one():
    frozen = {"schedule": lambda epoch, history: 0.0, "shuffle": False, "patience": 2}
    _, history = run(9, **frozen)
    assert history.stopped == "loss has not improved for 2 epochs"
    assert len(history) == 3
    sets = {"first": examples(9), "second": examples(8)}
    _, history = run(9, **frozen, validation=sets)
    assert history.stopped == "first_loss has not improved for 2 epochs"


# --- Callbacks ------------------------------------------------------------------------


def test_callbacks_note_figures_and_end_the_training():
    def note(history):
        history.note(twice=2 * history[-1]["loss"])

    _, history = run(
        9, callbacks=[lambda h: len(h) == 3, note, lambda h: 1], monitor="twice"
    )
    assert history.stopped == "a callback ended it"
    np.testing.assert_array_equal(history["twice"], 2 * history["loss"])
    assert len(history) == 3


def test_a_loss_that_is_nan_ends_it():
    def loss(outputs, targets):
        return tg.losses.mse(outputs, targets) * np.inf * 0.0

    with np.errstate(invalid="ignore"):
        _, history = run(9, loss=loss)
    assert len(history) == 1
    assert history.stopped == "the loss is NaN"


# --- What is seen ---------------------------------------------------------------------


def test_there_is_a_line_an_epoch_and_one_that_tells_the_end(capsys):
    run(
        12,
        progress=True,
        validation=examples(9),
        metrics={"accuracy": accuracy},
        callbacks=[lambda history: len(history) == 2],
    )
    lines = capsys.readouterr().out.splitlines()
    number = r"\d\.\d{4}"
    figures = (
        rf"loss {number}  validation loss {number}  validation accuracy \d+\.\d\d%"
    )
    for epoch, line in enumerate(lines[:2], 1):
        assert re.fullmatch(rf"epoch  {epoch}/12  {figures}  \d+\.\d s", line)
    assert lines[2:] == ["ended: a callback ended it"]


@pytest.mark.parametrize(
    ("epochs", "stride", "end"),
    [(20, 1, 20), (21, 2, 21), (400, 20, 103), (101, 10, 1)],
)
def test_many_epochs_have_few_lines_and_the_last_is_one(epochs, stride, end, capsys):
    run(epochs, progress=True, callbacks=[lambda history: len(history) == end])
    lines = capsys.readouterr().out.splitlines()
    if end < epochs:
        assert lines.pop() == "ended: a callback ended it"
    told = [int(line.removeprefix("epoch ").partition("/")[0]) for line in lines]
    assert told == sorted({1, *range(stride, end + 1, stride), end})


def test_there_is_a_line_even_for_epochs_without_end(capsys):
    run(inf, progress=True, callbacks=[lambda history: len(history) == 2])
    assert [x[:5] for x in capsys.readouterr().out.splitlines()] == [
        "epoch",
        "epoch",
        "ended",
    ]


def test_a_resumed_training_goes_on_with_the_lines(tmp_path, capsys):
    checkpoint = {"checkpoint": tmp_path, "resume": True, "progress": True}
    run(3, **checkpoint)
    capsys.readouterr()
    run(30, **checkpoint)
    told = [line.partition("/")[0] for line in capsys.readouterr().out.splitlines()]
    assert told == [f"epoch {epoch:>2}" for epoch in range(4, 31, 2)]


def test_the_line_may_be_ones_own(capsys):
    run(2, progress=lambda history: f"{len(history)}: {history.names}")
    assert capsys.readouterr().out == "".join(
        f"{epoch}: ['loss', 'seconds']\n" for epoch in (1, 2)
    )


class Bar:
    def __init__(self):
        self.moves = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def line(self, text):
        pass

    def move(self, done, text):
        self.moves.append((done, text))


def test_the_bar_knows_how_far_it_is(monkeypatch):
    bar = Bar()
    monkeypatch.setattr(fitting, "progress_bar", lambda wanted: bar)
    monkeypatch.setattr("tinygrad_edu.train.batches.TICK", 0.0)
    run(2, batch_size=20, validation=examples(9), metrics={"accuracy": accuracy})
    parts = [0, 0, 0, 4 / 6, 5 / 6, 1]  # at first it is not known how long an epoch is
    np.testing.assert_allclose([done for done, _ in bar.moves], parts)
    texts = [text for _, text in bar.moves]
    assert all(re.fullmatch(r"epoch 1/2 loss \d\.\d{4}", text) for text in texts[:3])
    second = r"epoch 2/2 loss \d\.\d{4} validation loss \d\.\d{4}"
    assert all(re.fullmatch(second, text) for text in texts[3:])
    bar.moves.clear()
    _, history = run(3, batch_size=20, validation=examples(9))
    latest = [text.rpartition(" ")[2] for _, text in bar.moves[3:]]
    first, second, _ = history["validation_loss"]
    assert latest == [f"{first:.4f}"] * 3 + [f"{second:.4f}"] * 3
    bar.moves.clear()
    run(2)
    assert all("validation" not in text for _, text in bar.moves)


# --- Ctrl-C ---------------------------------------------------------------------------


@pytest.mark.usefixtures("usual_ctrl_c")
def test_ctrl_c_keeps_the_history_and_the_weights_of_the_moment(capsys):
    pressed = []

    def press(history):
        if len(history) == 2:
            signal.raise_signal(signal.SIGINT)
            pressed.append(weights(model))

    model, _ = of = network()
    _, history = run(
        9,
        of=of,
        callbacks=[press],
        restore_best=True,
        schedule=lambda epoch, history: [1.0, 60.0][epoch],
        progress=True,
    )
    assert history.stopped == "Ctrl-C, after step 0 of epoch 3"
    assert capsys.readouterr().out.endswith(f"ended: {history.stopped}\n")
    assert len(history) == 2
    for found, expected in zip(weights(model), pressed[0]):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("usual_ctrl_c")
def test_ctrl_c_amid_an_epoch_waits_for_the_running_step(tmp_path):
    x, y = examples()

    def batches(rng):
        for number, batch in enumerate(tg.data.minibatches(x, y, 10, rng)):
            if number == 2:
                signal.raise_signal(signal.SIGINT)
            yield batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinygrad_edu.train.batches.TICK", 0.0)
        _, history = run(data=batches, checkpoint=tmp_path)
    assert history.stopped == "Ctrl-C, after step 3 of epoch 1"
    assert len(history) == 0
    assert [path.name for path in tmp_path.iterdir()] == [
        "epoch-0000-step-000003.safetensors"
    ]


@pytest.mark.usefixtures("usual_ctrl_c")
def test_seconds_are_those_of_the_training_before_it_was_stopped_too(
    tmp_path, monkeypatch
):
    """By a clock that ticks when it is looked at: after each step and each epoch."""
    clock, presses = itertools.count(100.0), [2]
    monkeypatch.setattr(fitting, "perf_counter", lambda: next(clock))
    monkeypatch.setattr("tinygrad_edu.train.batches.TICK", 0.0)
    x, y = examples()

    def batches(rng):
        for number, batch in enumerate(tg.data.minibatches(x, y, 10, rng)):
            if number in presses:
                signal.raise_signal(signal.SIGINT)
            yield batch

    options = {"data": batches, "checkpoint": tmp_path}
    run(2, **options)
    next(clock)
    presses.clear()
    _, history = run(2, resume=True, **options)
    assert history["seconds"].tolist() == [6.0, 6.0]


def test_it_trains_in_a_thread_as_well():
    done = []
    thread = threading.Thread(target=lambda: done.append(run()))
    thread.start()
    thread.join()
    assert same(done[0][0], run()[0])


# --- Checkpoints ----------------------------------------------------------------------


@pytest.mark.parametrize("stopped", range(5))
@pytest.mark.parametrize("how", ["arrays", "list", "function"])
def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(tmp_path, how, stopped):
    """Stopped at each step of the second epoch; the generator also drops out."""
    x, y = examples()
    data = {
        "arrays": (x, y),
        "list": list(tg.data.minibatches(x, y, 10)),
        "function": lambda rng: list(tg.data.minibatches(x, y, 10, rng)),
    }[how]

    class StoppedError(Exception):
        pass

    def train(stop_at=-1, **options):
        rng = np.random.default_rng(0)
        model = tg.nn.Sequential(
            tg.nn.Linear(4, 6, rng), tg.nn.Dropout(0.3, rng), tg.nn.Linear(6, 3, rng)
        )
        optimiser = tg.optim.Adam(model.parameters(), 0.05)
        steps = []

        def loss(outputs, targets):
            if outputs.requires_grad:
                steps.append(1)
                if len(steps) == stop_at:
                    raise StoppedError
            return tg.losses.mse(outputs, targets)

        history = fit(
            model, loss, optimiser, data, 3, rng=rng, compile=False, progress=False,
            validation=examples(9), patience=2,
            callbacks=[lambda h: h.note(best=h["validation_loss"].min())],
            **options,
        )  # fmt: skip
        return model, optimiser, history

    kept = {"checkpoint": tg.checkpoints.Folder(tmp_path, every=1), "resume": True}
    with pytest.raises(StoppedError):
        train(6 + stopped, **kept)
    expected, found = train(), train(**kept)
    assert same(found[0], expected[0])
    for name, x in expected[1].state_dict().items():
        assert np.array_equal(x, found[1].state_dict()[name]), name
    assert found[2].names == expected[2].names
    for name in ("loss", "validation_loss", "best"):
        assert found[2][name].tobytes() == expected[2][name].tobytes()
    assert found[2].stopped == expected[2].stopped


def test_more_epochs_may_follow_later(tmp_path):
    whole, history = run(5)
    run(3, checkpoint=str(tmp_path / "run"))
    model, resumed = run(5, checkpoint=tmp_path / "run", resume=True)
    assert same(model, whole)
    assert resumed["loss"].tobytes() == history["loss"].tobytes()
    again, same_history = run(5, seed=9, checkpoint=tmp_path / "run", resume=True)
    assert same(again, whole), "there was nothing left to do"
    assert same_history == resumed


def test_it_is_said_that_nothing_is_left_to_do(tmp_path, capsys):
    options = {"checkpoint": tmp_path, "resume": True, "progress": True}
    run(3, **options)
    assert "nothing to do" not in capsys.readouterr().out
    for epochs in (3, 2):
        _, history = run(epochs, **options)
        assert history.stopped == "all epochs are done"
        told = f"nothing to do: 3 of {epochs} epochs are done\n"
        assert capsys.readouterr().out == told
    run(4, **options)
    assert "nothing to do" not in capsys.readouterr().out


def test_what_ended_it_ends_it_again(tmp_path):
    options = {"checkpoint": tmp_path, "resume": True}
    _, history = run(9, callbacks=[lambda history: len(history) == 2], **options)
    _, again = run(9, **options)
    assert again == history
    assert again.stopped == history.stopped == "a callback ended it"


def test_an_earlier_training_is_not_mixed_with_another(tmp_path):
    run(1, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="has checkpoints of an earlier training"):
        run(1, checkpoint=tmp_path)


# --- What is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"epochs": 0}, "fit: epochs must be 1 or more, not 0"),
        ({"batch_size": 0}, "fit: batch_size must be 1 or more, not 0"),
        ({"patience": 0}, "fit: patience must be 1 or more, not 0"),
        ({"resume": True}, "fit: resume=True needs a folder"),
        ({"metrics": {"loss": accuracy}}, "fit: a metric is called loss"),
        ({"metrics": {"accuracy": accuracy}}, "validation={'train': data}"),
        (
            {
                "metrics": {"b_loss": accuracy},
                "validation": dict.fromkeys(["a", "a_b"]),
            },
            "validation={'train': data}",  # None is no validation data
        ),
        (
            {
                "metrics": {"b_loss": accuracy},
                "validation": dict.fromkeys(["a", "a_b"], examples()),
            },
            "fit: two figures have the name a_b_loss; rename",
        ),
        (
            {"metrics": {"my metric": accuracy}, "validation": examples()},
            "'validation_my metric' is not a valid name",
        ),
        ({"validation": {"2nd": examples()}}, "'2nd_loss' is not a valid name"),
        ({"data": (examples()[0], examples(3)[1])}, "43 rows in x, 3 in y"),
    ],
)
def test_what_makes_no_sense_is_refused_before_it_begins(options, complaint):
    def loss(outputs, targets):
        pytest.fail("it has begun")

    with pytest.raises(ValueError, match=complaint):
        run(loss=loss, **options)


@pytest.mark.parametrize("metrics", [["accuracy"], [accuracy], "accuracy", accuracy])
def test_metrics_have_names(metrics):
    message = r"metrics must be a dict .* \{'accuracy': tg\.train\.accuracy\}, not "
    with pytest.raises(TypeError, match=f"^fit: {message}"):
        run(metrics=metrics)
    with pytest.raises(TypeError, match=f"^evaluate: {message}"):
        tg.train.evaluate(network()[0], tg.losses.mse, examples(), metrics)


def test_a_network_learns_from_labels():
    """By number or as one-hot rows, the training is the same."""
    (x, y), steps = examples(), []
    labels = (y[:, 0] > 0.5).astype(int)
    for target in labels, np.eye(2)[labels]:
        model = tg.nn.Sequential(tg.nn.Linear(x.shape[1], 2, rng=0))
        _, history = run(
            of=(model, tg.optim.SGD(model.parameters(), 0.5)),
            loss=tg.losses.softmax_cross_entropy,
            data=(x, target),
            validation=(x, target),
            metrics={"accuracy": accuracy},
        )
        steps.append([*history["loss"], *history["validation_accuracy"]])
    np.testing.assert_allclose(*steps, rtol=1e-12)


@pytest.mark.parametrize("options", [{"restore_best": True}, {"checkpoint": "run"}])
def test_a_function_has_no_weights_to_keep(options):
    model, optimiser = network()
    with pytest.raises(TypeError, match="must be a Module, or a Module's method"):
        run(of=(lambda x: model(x), optimiser), **options)


def test_a_figure_that_is_not_there_is_told():
    with pytest.raises(KeyError, match="validation_jump"):
        run(monitor="validation_jump")


def test_training_needs_no_extra(tmp_path):
    """Without Rich, Matplotlib and safetensors there are lines, and no checkpoints."""
    code = """
import sys
for name in ("rich", "matplotlib", "safetensors", "IPython"):
    sys.modules[name] = None
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in sys.modules else real(name)
import tinygrad_edu as tg
model = tg.nn.MLP([2, 3, 1], rng=0)
optimiser = tg.optim.SGD(model.parameters(), 1.0)
history = tg.train.fit(model, tg.losses.mse, optimiser, tg.data.xor(), 2, rng=0)
history.save("history.csv")
try:
    tg.save("model.safetensors", model)
except ModuleNotFoundError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(tg.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    *lines, complaint = run.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert complaint.endswith("pip install safetensors")
    assert len(tg.train.History.load(tmp_path / "history.csv")) == 2
