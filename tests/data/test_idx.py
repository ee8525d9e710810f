"""IDX files: what is damaged is refused by name, what is sound arrives whole."""

import gzip
import re
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from idx_files import idx, write
from numpy.typing import NDArray

from tinygrad_edu.data.idx import _CHUNK, read_idx

endings = st.sampled_from(["", ".gz"])
byte_arrays = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=6)
)


@given(array=byte_arrays, end=endings)
def test_read_idx_gives_back_what_was_written(
    scratch: Path, array: NDArray[np.uint8], end: str
) -> None:
    read = read_idx(write(scratch / f"whole{end}", idx(array)))
    np.testing.assert_array_equal(read, array, strict=True)
    assert read.flags.writeable


def test_read_idx_takes_a_path_as_text(tmp_path: Path) -> None:
    path = write(tmp_path / "text", idx(np.arange(3)))
    assert read_idx(str(path)).tolist() == [0, 1, 2]


def test_read_idx_counts_across_chunks(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, 3 * _CHUNK, np.uint8)
    assert (read_idx(write(tmp_path / "long.gz", idx(array))) == array).all()


@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_byte_too_many_after_a_whole_chunk_is_seen(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / f"long{end}", idx(np.ones(_CHUNK)) + b"x")
    with pytest.raises(ValueError, match="too many"):
        read_idx(path)


@given(array=byte_arrays, end=endings, part=st.floats(0, 1, exclude_max=True))
@example(array=np.ones((2, 2), np.uint8), end=".gz", part=0.0)
@example(array=np.ones((2, 2), np.uint8), end=".gz", part=0.99)
def test_truncated_anywhere_is_refused_by_name(
    scratch: Path, array: NDArray[np.uint8], end: str, part: float
) -> None:
    path = write(scratch / f"truncated{end}", idx(array))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_idx(path)


@given(array=byte_arrays, end=endings, at=st.integers(0, 23), byte=st.integers(0, 255))
@example(array=np.zeros((2, 2, 2), np.uint8), end="", at=3, byte=5)
@example(array=np.full((1, 256), 1, np.uint8), end="", at=3, byte=65)
def test_damaged_header_is_refused_by_name_or_harmless(
    scratch: Path, array: NDArray[np.uint8], end: str, at: int, byte: int
) -> None:
    path = write(scratch / f"flipped{end}", idx(array))
    content = bytearray(path.read_bytes())
    # A plain file has no checksum: a changed element cannot be told from a true one.
    assume(at < (len(content) if end else 4 + 4 * array.ndim))
    content[at] = byte
    path.write_bytes(content)
    fault = ""
    try:
        read = read_idx(path)
    except ValueError as error:
        fault = str(error)
    if fault:
        assert str(path) in fault
    else:
        np.testing.assert_array_equal(read, array, strict=True)


def test_dimensions_beyond_numpys_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "deep", bytes([0, 0, 8, 65]) + b"\0\0\0\1" * 65 + b"x")
    with pytest.raises(ValueError, match=r"deep: .* an impossible shape"):
        read_idx(path)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "ends within its header"),
        (b"\0\0\x08", "ends within its header"),
        (b"\0\0\x08\1\0\0\0", "ends within its header"),
        (b"\x1f\x8b\x08\1\0\0\0\1x", "wrong magic number: expected 0000, got 1f8b"),
        (b"\0\0\x0d\1\0\0\0\1xxxx", "element type: .*, got 0x0d"),
        (b"\0\0\x08\0x", "an impossible shape"),
        (b"\0\0\x08\1\0\0\0\0", "an impossible shape"),
        (b"\0\0\x08\1\0\0\0\2x", "claims 2 bytes, .* too few"),
        (b"\0\0\x08\1\0\0\0\2xxx", "claims 2 bytes, .* too many .oversized"),
    ],
)
@pytest.mark.parametrize("end", ["", ".gz"])
def test_each_fault_is_named(
    tmp_path: Path, content: bytes, fault: str, end: str
) -> None:
    path = write(tmp_path / f"faulty{end}", content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: ") + f".*{fault}"):
        read_idx(path)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: idx(np.arange(5)), id="not gzip"),
        pytest.param(lambda whole: whole + b"garbage", id="garbage after it"),
        pytest.param(lambda whole: whole[:-8] + bytes(8), id="checksum"),
        pytest.param(lambda whole: whole[:10] + b"\xff" + whole[11:], id="deflate"),
    ],
)
def test_damaged_gzip_is_named(tmp_path: Path, damage: Any) -> None:
    path = write(tmp_path / "faulty.gz", idx(np.arange(5)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"faulty\.gz: damaged or not gzip"):
        read_idx(path)


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        read_idx(tmp_path / "absent")


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize(
    ("shape", "follow", "fault"),
    [
        pytest.param((2**31, 28, 28), 1 << 24, "header claims", id="forged header"),
        pytest.param((2, 28, 28), 1 << 24, "too many", id="bomb"),
    ],
)
def test_a_lying_header_costs_no_memory(
    tmp_path: Path, end: str, shape: tuple[int, ...], follow: int, fault: str
) -> None:
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", *shape)
    path = write(tmp_path / f"lie{end}", header + bytes(follow))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=fault):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def bomb(path: Path, megabytes: int) -> None:
    """Write what is as its header says: zeros, a thousandth as long as packed."""
    with gzip.open(path, "wb") as file:
        file.write(bytes([0, 0, 8, 1]) + struct.pack(">I", megabytes << 20))
        for _ in range(megabytes):
            file.write(bytes(1 << 20))


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    bomb(path, 65)
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=r"bomb\.gz: its header claims 68157440 byte"
        ):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 18
    finally:
        tracemalloc.stop()
    bomb(path, 64)
    assert not read_idx(path).any(), "so much may be anything"


@pytest.mark.parametrize("end", ["", ".gz"])
def test_memory_that_cannot_be_had_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    def empty(shape: Any, dtype: Any) -> None:
        raise MemoryError

    path = write(tmp_path / f"large{end}", idx(np.ones((2, 3))))
    monkeypatch.setattr("tinygrad_edu.data.idx.np.empty", empty)
    fault = f"{path}: its 6 bytes, (2, 3), do not fit in the free memory; read"
    with pytest.raises(ValueError, match=f"^{re.escape(fault)}"):
        read_idx(path)


WITH_LITTLE_MEMORY = """
import resource, sys
import tinygrad_edu as tg
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (48 << 20),) * 2)
try:
    tg.data.read_idx(sys.argv[1])
except ValueError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it asks Linux")
@pytest.mark.parametrize("end", ["", ".gz"])
def test_what_does_not_fit_in_memory_is_named(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / f"large{end}", idx(np.zeros(60 << 20, np.uint8)))
    run = subprocess.run(
        [sys.executable, "-c", WITH_LITTLE_MEMORY, path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    told = f"{path}: its 62914560 bytes, (62914560,), do not fit in the free memory"
    assert run.stdout.startswith(told)
