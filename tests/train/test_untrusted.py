"""Readers of files that anyone may have made: a clear error, or a correct read.

The profile named fuzz has 12,000 damaged files read, in some minutes:

    pytest tests/train/test_untrusted.py -n 0 --hypothesis-profile=fuzz
"""

import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("safetensors", reason="the extra named train is not installed")

import damage
from damage import READERS, attempt, damaged, sound

each_kind = pytest.mark.parametrize("kind", READERS)


@each_kind
def test_a_sound_file_is_read(kind, tmp_path):
    assert attempt(kind, sound(kind), tmp_path)


@each_kind
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_as_it_is(kind, data):
    content = data.draw(damaged(sound(kind)))
    with tempfile.TemporaryDirectory() as folder:
        attempt(kind, content, folder)


@each_kind
@settings(deadline=None, max_examples=20)
@given(content=st.binary(max_size=64))
def test_any_bytes_at_all_are_refused_or_read_as_they_are(kind, content):
    with tempfile.TemporaryDirectory() as folder:
        attempt(kind, content, folder)


def test_the_damage_reaches_what_is_deep_inside():
    """Else it would be the first check that is tested 10,000 times."""
    faults = []

    @settings(deadline=None, database=None, max_examples=1000, derandomize=True)
    @given(content=damaged(sound("training")))
    def gather(content):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "file.safetensors")
            path.write_bytes(content)
            try:
                damage.TARGET.load(path)
            except ValueError as error:
                faults.append(str(error))

    gather()
    for fault in (
        "end within its header",
        "it is not a safetensors file",
        "it contains no training",
        "Sequential: ",
        "Adam: ",
        "of a random generator: ",
        "it has the figures",
        "History: ",
        "epoch: ",
    ):
        assert any(fault in told for told in faults), fault


# --- Headers that cost nothing to forge -----------------------------------------------


def header(*parts):
    text = b"".join(parts)
    return struct.pack("<Q", len(text)) + text


def entries(n, shape, size):
    spans = ((size * i, size * (i + 1)) for i in range(n))
    return ",".join(
        f'"{i:x}":{{"dtype":"U8","shape":{shape},"data_offsets":[{a},{b}]}}'
        for i, (a, b) in enumerate(spans)
    ).encode()


HOSTILE = {
    "many arrays": header(b"{", entries(100_000, [1], 1), b"}") + bytes(100_000),
    "as many as there may be": header(b"{", entries(9_900, [1], 1), b"}")
    + bytes(9_900),
    "many of nothing": header(b"{", entries(100_000, [0], 0), b"}"),
    "a long shape": header(
        b'{"a":{"dtype":"U8","shape":[', b"1," * 2_000_000, b'1],"data_offsets":[0,1]}}'
    )
    + b"x",
    "many texts": header(
        b'{"__metadata__":{', b",".join(b'"%x":""' % i for i in range(300_000)), b"}}"
    ),
    "brackets": header(b"[" * 4_000_000),
    "a long name": header(b'{"', b"a" * 4_000_000, b'":{}}'),
    "a long text": header(
        b'{"__metadata__":{"tinygrad_edu":"', b"[" * 4_000_000, b'"}}'
    ),
    "an array too large": header(b"{", entries(1, [2**40], 2**40), b"}"),
    "as long as it says, or so": struct.pack("<Q", 2**40) + bytes(4_000_000),
}
WATCHED = """
import resource, sys
sys.path.insert(0, {tests!r})
import damage
damage.warm_up("training")
def used():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = used()
try:
    damage.TARGET.load({path!r})
except ValueError as error:
    assert str(error).startswith({path!r} + ": "), error
    print(used() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it asks Linux")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_costs_no_memory(name, tmp_path):
    """All of it, as the system counts; the library's is none that Python traces."""
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(HOSTILE[name])
    code = WATCHED.format(tests=str(Path(__file__).parents[1]), path=str(path))
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100
    )
    assert run.stdout, run.stderr
    assert int(run.stdout) <= 4 * len(HOSTILE[name]) + (2 << 20)
