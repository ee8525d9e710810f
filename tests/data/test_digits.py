"""The MNIST digits: sought in the right place, proven sound, refused by name if not."""

import gzip
import hashlib
import os
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from idx_files import idx, write
from numpy.typing import NDArray

from tinygrad_edu.data.digits import _MIRRORS, _SHA256, _find, mnist, mnist_5k
from tinygrad_edu.data.idx import read_idx
from tinygrad_edu.data.sets import normalise
from tinygrad_edu.support.files import cache_folder

Arrays = dict[str, NDArray[Any]]

NAMES = tuple(_SHA256)
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = NAMES

real_folder = os.environ.get("TINYGRAD_EDU_DATA")
needs_mnist = pytest.mark.skipif(
    not real_folder, reason="TINYGRAD_EDU_DATA names no folder with the real MNIST"
)


def write_mnist(
    folder: Path, n: int = 3, end: str = ".gz", other: Arrays | None = None
) -> Path:
    """Write a small database, its first label `n` to tell it from others."""
    labels = np.arange(n, 0, -1)
    arrays: Arrays = {}
    for part, count in ("train", n), ("t10k", n - 1):
        arrays[f"{part}_images"] = np.full((count, 28, 28), n)
        arrays[f"{part}_labels"] = labels[:count]
    for name, array in zip(NAMES, (arrays | (other or {})).values(), strict=True):
        write(folder / f"{name}{end}", idx(array))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test off the user's own data, cache and network."""
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "pooch", None)
    return tmp_path / "cache" / "tinygrad_edu"


# Where it is looked for


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("below", ["", "mnist"])
def test_a_folder_holds_the_files_itself_or_in_mnist(
    tmp_path: Path, below: str, end: str
) -> None:
    write_mnist(tmp_path / "given" / below, n=4, end=end)
    digits = mnist(str(tmp_path / "given"))
    assert digits.train_images.shape == (4, 28, 28)
    assert digits.train_labels.tolist() == [4, 3, 2, 1]
    assert digits.test_images.shape == (3, 28, 28)
    assert digits.test_labels.tolist() == [4, 3, 2]
    assert {array.dtype for array in digits[:4]} == {np.dtype(np.uint8)}
    assert digits.source == str(tmp_path / "given")


def test_folder_beats_variable_beats_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(cache / "mnist", n=3)
    write_mnist(tmp_path / "variable" / "mnist", n=4)
    write_mnist(tmp_path / "given", n=5)
    assert mnist().train_labels[0] == 3
    monkeypatch.setenv("TINYGRAD_EDU_DATA", "")
    assert mnist().train_labels[0] == 3
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "variable"))
    assert mnist().train_labels[0] == 4
    assert mnist(tmp_path / "given").train_labels[0] == 5


def test_even_an_empty_path_is_a_folder_given(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(cache, n=3)
    monkeypatch.chdir(write_mnist(tmp_path / "here", n=4))
    assert mnist("").train_labels[0] == 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("by_variable", [True, False])
def test_a_missing_file_is_named_and_not_sought_elsewhere(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    by_variable: bool,
) -> None:
    write_mnist(cache)
    folder = write_mnist(tmp_path / "given")
    (folder / f"{name}.gz").unlink()
    if by_variable:
        monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    with pytest.raises(FileNotFoundError) as caught:
        mnist(None if by_variable else folder)
    assert str(folder) in str(caught.value)
    assert [known for known in NAMES if known in str(caught.value)] == [name]


@pytest.mark.parametrize(
    ("platform", "below_home"),
    [
        ("linux", ".cache/tinygrad_edu"),
        ("darwin", "Library/Caches/tinygrad_edu"),
        ("win32", "AppData/Local/tinygrad_edu/tinygrad_edu/Cache"),
    ],
)
def test_each_platform_has_its_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, below_home: str
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / below_home


def test_the_cache_is_poochs(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pooch")
    pooch = pytest.importorskip("pooch")
    for variable in "XDG_CACHE_HOME", "unrelated":
        monkeypatch.delenv(variable, raising=False)
        assert cache_folder() == Path(pooch.os_cache("tinygrad_edu"))


# Files that are not what their names say


@pytest.mark.parametrize(
    ("other", "name", "fault"),
    [
        ({"train_images": np.ones(3)}, TRAIN_IMAGES, r"expected images .*, got \(3,\)"),
        ({"t10k_images": np.ones((2, 9, 9))}, TEST_IMAGES, r"got \(2, 9, 9\)"),
        (
            {"train_labels": np.ones((3, 28, 28))},
            TRAIN_LABELS,
            "expected labels .* got",
        ),
        (
            {"train_labels": np.array([1, 2, 10])},
            TRAIN_LABELS,
            "expected labels 0..9, got 10",
        ),
        ({"t10k_labels": np.ones(3)}, TEST_LABELS, "3 labels for 2 images"),
    ],
)
def test_a_mislabelled_file_is_named(
    tmp_path: Path, other: Arrays, name: str, fault: str
) -> None:
    write_mnist(tmp_path, other=other)
    with pytest.raises(ValueError, match=f"{name}.gz: .*{fault}"):
        mnist(tmp_path)


# Download


class Mirrors:
    """Stands in for pooch: serves files by their address, and keeps a log."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.log: list[str] = []

    def __call__(self, url: str, output_file: str, pooch: None) -> None:
        """Answer as pooch.HTTPDownloader does."""
        self.log.append(url)
        content = self.pages.get(url)
        Path(output_file).write_bytes(b"beginning of")  # as an interrupted one would
        if content is None:
            raise ConnectionError("unreachable")
        Path(output_file).write_bytes(content)


@pytest.fixture
def mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirrors:
    """Publish a small database on both mirrors, under its own true hashes."""
    published = write_mnist(tmp_path / "published")
    pages = {
        f"{mirror}{name}.gz": (published / f"{name}.gz").read_bytes()
        for mirror in _MIRRORS
        for name in NAMES
    }
    for name in NAMES:
        content = gzip.decompress(pages[f"{_MIRRORS[0]}{name}.gz"])
        monkeypatch.setitem(_SHA256, name, hashlib.sha256(content).hexdigest())
    fake = Mirrors(pages)

    def downloader(timeout: float) -> Mirrors:
        assert timeout <= 10
        return fake

    monkeypatch.setitem(
        sys.modules, "pooch", SimpleNamespace(HTTPDownloader=downloader)
    )
    return fake


def stored(cache: Path) -> list[str]:
    """List what the cache holds, leftovers and all."""
    return sorted(path.name for path in (cache / "mnist").iterdir())


def test_download_fills_the_cache_once(cache: Path, mirrors: Mirrors) -> None:
    digits = mnist()
    assert digits.train_labels.tolist() == [3, 2, 1]
    assert digits.source == str(cache)
    assert mirrors.log == [f"{_MIRRORS[0]}{name}.gz" for name in NAMES]
    assert stored(cache) == sorted(f"{name}.gz" for name in NAMES)
    mnist()
    assert len(mirrors.log) == 4


def test_download_gets_only_what_is_missing(cache: Path, mirrors: Mirrors) -> None:
    mnist()
    (cache / "mnist" / f"{TEST_LABELS}.gz").unlink()
    mirrors.log.clear()
    mnist()
    assert mirrors.log == [f"{_MIRRORS[0]}{TEST_LABELS}.gz"]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(None, id="unreachable"),
        pytest.param(b"<html>", id="not gzip"),
        pytest.param(gzip.compress(idx(np.arange(99)))[:-9], id="truncated"),
        pytest.param(gzip.compress(b"x")[:10] + b"\xff" * 9, id="not deflate"),
        pytest.param(gzip.compress(idx(np.array([1, 2, 4]))), id="wrong hash"),
    ],
)
def test_the_second_mirror_stands_in_for_the_first(
    cache: Path, mirrors: Mirrors, page: bytes | None
) -> None:
    first, second = (f"{mirror}{TRAIN_LABELS}.gz" for mirror in _MIRRORS)
    if page is None:
        del mirrors.pages[first]
    else:
        mirrors.pages[first] = page
    assert mnist().train_labels.tolist() == [3, 2, 1]
    assert mirrors.log.index(second) == mirrors.log.index(first) + 1
    assert stored(cache) == sorted(f"{name}.gz" for name in NAMES)


def test_a_wrong_hash_everywhere_is_refused(cache: Path, mirrors: Mirrors) -> None:
    for mirror in _MIRRORS:
        mirrors.pages[f"{mirror}{TRAIN_LABELS}.gz"] = gzip.compress(idx(np.arange(3)))
    with pytest.raises(FileNotFoundError, match="SHA-256") as caught:
        mnist()
    assert TRAIN_LABELS in str(caught.value)
    assert stored(cache) == [f"{TRAIN_IMAGES}.gz"]


def test_another_wrapper_around_the_same_content_is_welcome(mirrors: Mirrors) -> None:
    page = f"{_MIRRORS[0]}{TRAIN_LABELS}.gz"
    stored_only = gzip.compress(idx(np.array([3, 2, 1])), compresslevel=0)
    assert stored_only != mirrors.pages[page]
    mirrors.pages[page] = stored_only
    mnist()
    assert len(mirrors.log) == 4


def test_without_a_network_one_error_tells_all(cache: Path, mirrors: Mirrors) -> None:
    mirrors.pages.clear()
    with pytest.raises(FileNotFoundError) as caught:
        mnist()
    told = str(caught.value)
    tried = (*_MIRRORS, "unreachable", str(cache), TRAIN_IMAGES)
    assert all(word in told for word in tried)
    assert all(way in told for way in ("TINYGRAD_EDU_DATA", "mnist_5k()"))
    assert "pip install" not in told
    assert len(mirrors.log) == 2, "the first file that fails on both is the last"
    assert stored(cache) == []


def test_without_pooch_the_error_says_so(cache: Path) -> None:
    with pytest.raises(FileNotFoundError, match="pip install pooch"):
        mnist()


def test_a_cache_that_cannot_be_written_is_told(cache: Path, mirrors: Mirrors) -> None:
    write(cache, b"a file where the folder should be")
    with pytest.raises(FileNotFoundError, match=re.escape(str(cache))):
        mnist()


# The real digits


@needs_mnist
def test_the_real_mnist_is_whole_and_in_its_original_order() -> None:
    assert real_folder
    digits = mnist(real_folder)
    assert [array.shape for array in digits[:4]] == [
        (60000, 28, 28),
        (60000,),
        (10000, 28, 28),
        (10000,),
    ]
    for array, published in zip(digits[:4], _SHA256.values(), strict=True):
        assert hashlib.sha256(idx(array)).hexdigest() == published
    assert digits.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


@needs_mnist
@pytest.mark.parametrize("name", NAMES)
def test_the_real_mnist_minus_a_byte_is_refused(tmp_path: Path, name: str) -> None:
    assert real_folder
    source = _find(Path(real_folder), name)
    assert source
    copy = Path(shutil.copy(source, tmp_path))
    os.truncate(copy, copy.stat().st_size - 1)
    with pytest.raises(ValueError, match=name):
        read_idx(copy)


def test_mnist_5k_is_balanced_and_split() -> None:
    digits = mnist_5k()
    assert digits.train_images.shape == (4000, 28, 28)
    assert digits.test_images.shape == (1000, 28, 28)
    assert {array.dtype for array in digits[:4]} == {np.dtype(np.uint8)}
    for labels, length in (digits.train_labels, 4000), (digits.test_labels, 1000):
        assert labels.tolist() == list(range(10)) * (length // 10)
    images = np.concatenate([digits.train_images, digits.test_images])
    assert len(np.unique(images.reshape(5000, -1), axis=0)) == 5000, "none is repeated"


@needs_mnist
def test_mnist_5k_is_the_first_500_of_each_digit() -> None:
    everything, few = mnist(real_folder), mnist_5k()
    firsts = [np.flatnonzero(everything.train_labels == x)[:500] for x in range(10)]
    rounds = np.stack(firsts, axis=1).reshape(100, 5, 10)  # the fifth is for tests
    train, test = rounds[:, :4].ravel(), rounds[:, 4].ravel()
    np.testing.assert_array_equal(few.train_images, everything.train_images[train])
    np.testing.assert_array_equal(few.test_images, everything.train_images[test])


def test_mnist_5k_pairs_each_digit_with_its_label() -> None:
    # Nearest class mean gets about 80 %; shuffled labels would get 10 %.
    digits = mnist_5k()
    train, test = map(normalise, (digits.train_images, digits.test_images))
    means = np.stack(
        [train[digits.train_labels == digit].mean(0) for digit in range(10)]
    )
    distances = ((test[:, None] - means) ** 2).sum(-1)
    assert (distances.argmin(1) == digits.test_labels).mean() > 0.7
