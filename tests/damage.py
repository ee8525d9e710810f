"""What damaged files may do to a reader: have it say so, or be read as they are.

``attempt(kind, content, folder)`` has a reader read any bytes at all, and holds it to
that. Hypothesis finds the bytes in test_untrusted.py; as a program this is a harness
for Atheris, which looks for them by the code that they reach:

    python tests/damage.py KIND [options of libFuzzer]
"""

import csv
import gzip
import io
import json
import struct
import sys
import tempfile
import tracemalloc
from contextlib import nullcontext, suppress
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

if __name__ == "__main__":
    import atheris

    watched = atheris.instrument_imports(include=["tinygrad_edu"])
else:
    watched = nullcontext()

with watched:
    import tinygrad_edu as tg
    import tinygrad_edu.data
    import tinygrad_edu.train
    from tinygrad_edu.train.checkpoints import Training, load

# Memory, besides a few times the file's size: a chunk to read by, and what tells of a
# fault.
ALLOWED = 1 << 18


def new_training():
    rng = np.random.default_rng(0)
    model = tg.nn.Sequential(tg.nn.Linear(2, 3, rng), tg.nn.Dropout(0.5, 1))
    return Training(model, tg.optim.Adam(model.parameters()), rng)


TARGET = new_training()
WEIGHTS = TARGET.model.state_dict()


def all_of_it(run):
    """Return what a reader of checkpoints may change, to be compared."""
    arrays = [*run.model.state_dict().values(), *run.optimiser.state_dict().values()]
    random = run.rng.bit_generator.state, run.model.random_state()
    rest = run.history.names, run.losses, run.seconds, run.ended, run.best
    return [np.asarray(x).tobytes() for x in arrays], str((random, rest))


def read_weights(path):
    load(path, TARGET.model)
    return TARGET.model.state_dict()


def read_training(path):
    TARGET.load(path)
    return TARGET.model.state_dict()


def weights_in(content):
    """Read by the library alone."""
    from safetensors.numpy import load

    arrays = load(content)
    return {name: arrays[name] for name in WEIGHTS}


def pixels_in(content):
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])


def columns_in_csv(content):
    text = io.StringIO(content.decode("utf-8-sig"), newline="")
    header, *rows = filter(None, csv.reader(text))
    numbers = [[float(field or "nan") for field in row] for row in rows]
    return {name: np.array(x) for name, x in zip(header, zip(*numbers))}


def columns_in_json(content):
    columns = json.loads(content)
    lists = {k: x.values() if isinstance(x, dict) else x for k, x in columns.items()}
    return {
        name: np.array([float("nan" if x is None else x) for x in values])
        for name, values in lists.items()
    }


def history_in(path):
    history = tg.train.History.load(path)
    return {name: history[name] for name in history.names if len(history)}


# By kind: the ending of the name, what reads such a file, and an independent judge.
READERS = {
    "idx": ("-ubyte", lambda path: tg.data.read_idx(path).ravel(), pixels_in),
    "idx.gz": (
        ".gz",
        lambda path: tg.data.read_idx(path).ravel(),
        lambda content: pixels_in(gzip.decompress(content)),
    ),
    "history.json": (".json", history_in, columns_in_json),
    "history.csv": (".csv", history_in, columns_in_csv),
    "weights": (".safetensors", read_weights, weights_in),
    "training": (".safetensors", read_training, weights_in),
}


@cache
def warm_up(kind):
    """Read a file, so that what has to be imported is there."""
    ending, read, _ = READERS[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"sound{ending}")
        path.write_bytes(sound(kind))
        read(path)


def attempt(kind, content, folder):
    """Read a file of this content; return whether it could be read."""
    warm_up(kind)
    ending, read, judge = READERS[kind]
    path = Path(folder, f"file{ending}")
    path.write_bytes(content)
    before, fault, found = all_of_it(TARGET), None, None
    tracemalloc.start()
    try:
        found = read(path)
    except ValueError as error:
        fault = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    size = len(content)
    with suppress(Exception):  # what is compressed counts as it comes out
        size = len(gzip.decompress(content))
    most = (80 if kind.startswith("history") else 4) * size + ALLOWED
    assert peak <= most, f"{peak} bytes of memory for a file of {size}"
    if fault is not None:
        assert fault.startswith(f"{path}: "), f"it does not name the file: {fault}"
        assert all_of_it(TARGET) == before, f"it was changed: {fault}"
        return False
    expected = judge(content)
    if isinstance(expected, dict):
        assert found.keys() <= expected.keys()
        expected = [expected[name] for name in found]
        found = list(found.values())
    for x, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, other)
    return True


# --- Sound files, and what may happen to them -----------------------------------------


def sound(kind):
    """Return the content of a file that is as it should be."""
    ending = READERS[kind][0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"sound{ending}")
        if kind.startswith("idx"):
            content = struct.pack(">HBB3I", 0, 8, 3, 2, 3, 4) + bytes(range(24))
            return gzip.compress(content) if ending == ".gz" else content
        run = new_training()
        for epoch in range(3):
            figures = {"loss": 1 / (epoch + 1), "test_loss": np.nan, "lr": 1e-4}
            run.end_epoch(figures)
        if kind.startswith("history"):
            run.history.save(path)
        elif kind == "weights":
            tg.save(path, run.model)
        else:
            run.best = run.model.state_dict()
            run.begin_epoch()
            run.losses.extend([0.5, 0.25])
            run.save(path)
        return path.read_bytes()


EXTREMES = [0, 1, 2**7, 2**8 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]
WORDS = [b"", b"-", b"1e999", b"NaN", b"null", b"{}", b"[]", b'"', b"\\u0000", b"\xff"]
WORDS += [b"9" * 40, b"[" * 200, b",", b"\n", b"\0" * 9, b"__metadata__", b"2.", b"-1"]


@st.composite
def damaged(draw, content):
    """Give the content of a file with some damage done to it."""
    edits = draw(st.integers(1, 3))
    if content[8:9] == b"{":
        where = draw(st.sampled_from(["bytes", "header", "arrays"]))
        if where == "header":
            content, edits = draw(with_another_header(content)), 0
        elif where == "arrays":
            content, edits = draw(with_other_arrays(content)), 0
    content = bytearray(content)
    for _ in range(edits):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        if draw(st.booleans()):  # the beginning matters most
            at = at % 32
        end = at + draw(st.sampled_from([0, 1, 2, 4, 8, 100]))
        kind = draw(st.integers(0, 5))
        if kind == 0:
            del content[at:]
        elif kind == 1:
            content[at:end] = draw(st.binary(max_size=8))
        elif kind == 2:
            content[at:end] = draw(st.sampled_from(WORDS))
        elif kind == 3:
            content[at:end] = content[at:end] * draw(st.integers(0, 3))
        elif kind == 4:
            number = draw(st.sampled_from(EXTREMES))
            order = draw(st.sampled_from(["little", "big"]))
            content[at : at + 8] = number.to_bytes(8, order)
        elif content:
            content[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(content)


ODD = st.sampled_from(
    [None, True, -1, 0, 1, 2**63, 1e308, "", "x", "I64", [], [0], [6], [1], [2, 3], {}]
)


@st.composite
def with_another_header(draw, content):
    """Give a file whose header is as long as it says, and says something else."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    facts = header.get("__metadata__", {})
    if "tinygrad_edu" in facts and draw(st.booleans()):
        about = json.loads(facts["tinygrad_edu"])
        _change(draw, about)
        facts["tinygrad_edu"] = json.dumps(about)
    else:
        _change(draw, header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


@st.composite
def with_other_arrays(draw, content):
    """Give a file of which all is in order, but for what it says."""
    from safetensors.numpy import load, save

    (length,) = struct.unpack("<Q", content[:8])
    facts = json.loads(content[8 : 8 + length]).get("__metadata__")
    arrays = load(content)
    name, other = (draw(st.sampled_from(sorted(arrays))) for _ in range(2))
    array = arrays.pop(name)
    change = draw(st.integers(0, 4))
    if change == 1:
        new = draw(st.sampled_from([other, f"{name}x", "best/x", "history/x"]))
        arrays[new] = array
    elif change == 2:
        kind = draw(st.sampled_from("fdeqlbB?"))
        arrays[name] = np.asarray(np.nan_to_num(array), kind)
    elif change == 3:
        shape = draw(st.sampled_from([(-1,), (1, -1), (-1, 1), (*array.shape, 1)]))
        arrays[name] = array.reshape(shape)
    elif change == 4:
        odd = draw(st.sampled_from([np.nan, np.inf, -1, 0, 1e300]))
        arrays[name] = np.full(draw(st.sampled_from([0, 1, 3, 9])), odd)
    return save(arrays, facts)


def _change(draw, tree):
    """Change something somewhere in dicts and lists."""
    key = draw(
        st.sampled_from(sorted(tree) if isinstance(tree, dict) else range(len(tree)))
    )
    part = tree[key]
    if isinstance(part, dict | list) and part and draw(st.integers(0, 3)):
        _change(draw, part)
    elif isinstance(tree, dict) and draw(st.booleans()):
        new = draw(st.sampled_from([*tree, "other"]))
        tree[new] = tree.pop(key)
    else:
        tree[key] = draw(ODD)


# --- For Atheris ----------------------------------------------------------------------


def main():
    kind, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        (corpus / "sound").write_bytes(sound(kind))
        atheris.Setup(
            [sys.argv[0], *options, str(corpus)],
            lambda content: attempt(kind, content, folder),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
