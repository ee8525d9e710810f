"""Files of arrays: what is written comes back, whole or not at all."""

import json
import os
import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_edu.train.checkpoints import storage
from tinygrad_edu.train.checkpoints.storage import Stored, write_arrays

safetensors = pytest.importorskip(
    "safetensors.numpy", reason="the extra named train is not installed"
)

DTYPES = ["float64", "float32", "float16", "bool"]
DTYPES += [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]

arrays = hnp.arrays(
    st.sampled_from(DTYPES),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
names = st.text(st.characters(codec="utf-8"), max_size=8).filter(
    lambda name: name != "__metadata__"
)


@settings(deadline=None)  # it waits for the disk
@given(written=st.dictionaries(names, arrays), texts=st.dictionaries(names, names))
def test_arrays_come_back_bit_by_bit(
    scratch: Path, written: dict[str, Any], texts: dict[str, str]
) -> None:
    path = scratch / "arrays.safetensors"
    write_arrays(path, written, texts)
    with Stored(path) as stored:
        assert stored.texts == texts
        assert set(stored) == written.keys()
        assert len(stored) == len(written)
        for name, array in written.items():
            assert name in stored
            assert stored.shape(name) == array.shape
            found = stored[name]
            assert (found.dtype, found.shape) == (array.dtype, array.shape)
            assert found.tobytes() == array.tobytes()
            assert found.flags.writeable
    assert os.listdir(scratch) == [path.name]


@settings(deadline=None)
@given(array=arrays)
def test_the_layout_in_memory_does_not_matter(scratch: Path, array: Any) -> None:
    path = scratch / "arrays.safetensors"
    views = {
        "transposed": array.T,
        "backwards": array[..., ::-1] if array.ndim else array,
    }
    write_arrays(path, views)
    for name, found in safetensors.load_file(path).items():
        np.testing.assert_array_equal(found, views[name], strict=True)


def test_it_is_the_format_of_the_library(tmp_path: Path) -> None:
    path = tmp_path / "arrays.safetensors"
    write_arrays(path, {"a": np.arange(6.0).reshape(2, 3)}, {"note": "hello"})
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert header["__metadata__"] == {"note": "hello"}
    assert header["a"]["dtype"] == "F64"
    assert header["a"]["shape"] == [2, 3]
    assert content[8 + length :] == np.arange(6.0).tobytes()


def test_arrays_are_read_one_by_one(tmp_path: Path) -> None:
    """And not before they are asked for: a look at the names reads none."""
    path = tmp_path / "arrays.safetensors"
    write_arrays(
        path,
        {"a": np.zeros(3), "b/c": np.ones(2), "b/d": np.ones(()), "e/f/g": np.ones(1)},
    )
    with Stored(path) as stored:
        read: list[str] = []
        real = stored._file

        class Watched:
            get_slice = staticmethod(real.get_slice)

            def get_tensor(self, name: str) -> Any:
                read.append(name)
                return real.get_tensor(name)

        stored._file = Watched()
        whole, part = stored.part(""), stored.part("b")
        assert list(whole) == ["a"]
        assert sorted(part) == ["c", "d"]
        assert len(part) == 2
        assert "c" in part
        assert "a" not in part
        assert part.shape("c") == (2,)
        assert not stored.part("nothing")
        assert read == []
        assert part["c"].tolist() == [1, 1]
        assert read == ["b/c"]
        for missing in (stored, part):
            with pytest.raises(KeyError, match="z"):
                missing["z"]
        stored._file = real


# --- Written whole or not at all ------------------------------------------------------


@pytest.mark.parametrize("at", ["save_file", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_whatever_fails_the_old_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, error: BaseException
) -> None:
    path = tmp_path / "a.safetensors"
    write_arrays(path, {"a": np.zeros(3)})
    before = path.read_bytes()

    def fail(*args: Any) -> None:
        if at == "save_file":
            Path(args[1]).write_bytes(before[:20])
        raise error

    place = {"save_file": safetensors, "fsync": os, "replace": Path}[at]
    monkeypatch.setattr(place, at, fail)
    with pytest.raises(type(error)):
        write_arrays(path, {"a": np.ones(3)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_what_the_library_cannot_write_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"

    def fail(*args: Any) -> None:
        raise storage._library().SafetensorError("odd")

    monkeypatch.setattr(safetensors, "save_file", fail)
    told = re.escape(f"save: {path} cannot be written: odd")
    with pytest.raises(OSError, match=f"^{told}"):
        write_arrays(path, {"a": np.zeros(3)})


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "a.safetensors"
    with pytest.raises(FileNotFoundError, match=r"^save: there is no folder .*no"):
        write_arrays(path, {"a": np.zeros(3)})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="it makes a pipe")
def test_a_pipe_is_refused_and_stays(tmp_path: Path) -> None:
    """The library would put a file in its place."""
    path = tmp_path / "pipe.safetensors"
    os.mkfifo(path)
    with pytest.raises(OSError, match=r"^save: .*pipe\.safetensors is not a regular"):
        write_arrays(path, {"a": np.zeros(3)})
    assert path.is_fifo()


# --- What could not be read again is not written --------------------------------------


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"__metadata__": np.zeros(2)}, "'__metadata__' has a name that the format"),
        ({"\ud800": np.zeros(2)}, r"'\\ud800' has a name that is not valid text"),
        ({"a": np.zeros(2, np.complex64)}, "'a' has dtype complex64, which the format"),
        ({"a": np.zeros(2, np.longdouble)}, f"'a' has dtype {np.dtype('g')}"),
        ({"a": np.array([10**30])}, "'a' has dtype object, which the format"),
    ],
)
def test_what_could_not_be_read_again_is_refused(
    tmp_path: Path, arrays: dict[str, Any], fault: str
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_text("old")
    with pytest.raises(ValueError, match=f"^save: {fault}"):
        write_arrays(path, arrays)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("n", [9_900, 10_100])
def test_as_many_arrays_are_written_as_can_be_read(tmp_path: Path, n: int) -> None:
    path = tmp_path / "a.safetensors"
    many = {f"optimiser/m.{i}": np.full((), float(i)) for i in range(n)}
    if n > 10_000:
        with pytest.raises(ValueError, match=f"could not read {n} arrays"):
            write_arrays(path, many)
        assert os.listdir(tmp_path) == []
        return
    write_arrays(path, many)
    with Stored(path) as stored:
        assert len(stored) == n
        assert stored[f"optimiser/m.{n - 1}"] == n - 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_dtype_comes_back(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "a.safetensors"
    write_arrays(path, {"a": np.array([0, 1], dtype)})
    with Stored(path) as stored:
        np.testing.assert_array_equal(stored["a"], np.array([0, 1], dtype), strict=True)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_order_of_bytes_in_memory_does_not_matter(
    tmp_path: Path, order: str
) -> None:
    path = tmp_path / "a.safetensors"
    write_arrays(path, {"a": np.arange(3).astype(f"{order}f8")})
    with Stored(path) as stored:
        np.testing.assert_array_equal(stored["a"], np.arange(3.0), strict=True)


# --- Read with suspicion --------------------------------------------------------------


def forged(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(kind: str, shape: list[int], end: int) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [0, end]}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "its 0 bytes end within its header"),
        (b"\x02\0\0\0", "its 4 bytes end within its header"),
        (b"\x09\0\0\0\0\0\0\0{}", "its 10 bytes end within its header"),
        (b"\x03\0\0\0\0\0\0\0{}", "its 10 bytes end within its header"),
        (b"\x02\0\0\0\0\0\0\1{}", "its 10 bytes end within its header"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "end within its header"),
        (b"PK\x03\x04" + bytes(100), "end within its header"),
        (forged(b"[]"), "it is not a safetensors file"),
        (forged(b"\xff\xff"), "it is not a safetensors file"),
        (forged({"a": entry("F64", [2], 16)}, bytes(15)), "not a safetensors file"),
        (forged({"a": entry("F64", [2], 16)}, bytes(17)), "not a safetensors file"),
        (forged({"a": entry("F64", [3], 16)}, bytes(16)), "not a safetensors file"),
        (forged({"a": entry("F64", [2**62, 2], 16)}, bytes(16)), "not a safetensors"),
        (forged({"a": entry("F99", [2], 16)}, bytes(16)), "not a safetensors file"),
        (forged(b'{"a":' + b'"",' * 200_000 + b"0}"), "longer than that of any model"),
        (forged(b'{"a":[' + b"1," * 200_000 + b"1]}"), "longer than that of any model"),
    ],
)
def test_what_is_no_such_file_is_named(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: ") + f".*{fault}"):
        Stored(path)


@pytest.mark.parametrize("mark", [",", '"'])
def test_a_header_may_have_so_many_marks_and_no_more(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "a.safetensors"
    for n, fits in [(100_000, True), (100_001, False)]:
        short = json.dumps({"__metadata__": {"note": ""}})
        text = mark * (n - short.count(mark))
        path.write_bytes(forged(short.replace('""', json.dumps(text)).encode()))
        if fits:
            with Stored(path) as stored:
                assert stored.texts == {"note": text}
        else:
            with pytest.raises(ValueError, match="longer than that of any model"):
                Stored(path)


def test_an_array_may_have_as_many_dimensions_as_numpy_has(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_arrays(path, {"a": np.ones((2,) + (1,) * 63)})
    with Stored(path) as stored:
        assert stored["a"].shape == (2,) + (1,) * 63


@pytest.mark.parametrize(
    ("kind", "shape", "fault"),
    [
        ("BF16", [8], "a is a BF16 array with 1 axes, which NumPy does not"),
        ("F8_E4M3", [16], "a is a F8_E4M3 array"),
        ("F64", [2] + [1] * 64, "a is a F64 array with 65 axes"),
        ("F64", [0, 2**62, 2**62], r"a of shape .*4611686018427387904\): "),
    ],
)
def test_what_numpy_has_not_is_named_when_it_is_read(
    tmp_path: Path, kind: str, shape: list[int], fault: str
) -> None:
    path = tmp_path / "a.safetensors"
    end = 0 if 0 in shape else 16
    for name in ("a", "part/a"):
        path.write_bytes(forged({name: entry(kind, shape, end)}, bytes(end)))
        part, _, rest = name.rpartition("/")
        with Stored(path) as stored:
            assert list(stored) == [name]
            told = re.escape(f"{path}: {name.removesuffix('a')}") + fault
            for arrays, known_as in ((stored, name), (stored.part(part), rest)):
                with pytest.raises(ValueError, match=told):
                    arrays[known_as]


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        Stored(tmp_path / "absent.safetensors")


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for use in (Stored, lambda path: write_arrays(path, {})):
        with pytest.raises(ModuleNotFoundError, match=r"pip install safetensors$"):
            use(tmp_path / "a.safetensors")
