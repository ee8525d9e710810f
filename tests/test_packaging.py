"""What others get: the wheel, its metadata, and files that describe the project."""

import email
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest
from newcomer import blocks

import tinygrad_edu as tg

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SOURCE = PROJECT["project"]["urls"]["Source"]
LINK = re.compile(r'(?:\]\(|\bsrc="|\bsrcset="|\bhref=")([^)"]*)')


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    for needed in "hatchling", "hatch_fancy_pypi_readme":
        if not find_spec(needed):
            pytest.skip("the extra named docs is not installed")
    from hatchling.builders.wheel import WheelBuilder

    folder = str(tmp_path_factory.mktemp("dist"))
    (path,) = WheelBuilder(str(ROOT)).build(directory=folder, versions=["standard"])
    with ZipFile(path) as file:
        yield file


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = (x for x in wheel.namelist() if x.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_the_version_is_the_one_of_the_package(metadata):
    assert metadata["Version"] == tg.__version__


def test_links_of_the_readme_lead_to_the_repository_on_an_index_page(
    metadata,
):
    assert metadata["Description-Content-Type"].startswith("text/markdown")
    shown = metadata.get_payload(decode=True).decode()
    readme = (ROOT / "README.md").read_text("utf-8")
    assert blocks(shown) == blocks(readme), "code is as it was"
    links, there = LINK.findall(readme), LINK.findall(shown)
    assert len(links) > 30
    for link, target in zip(links, there, strict=True):
        kind = "raw" if link.endswith((".png", ".webp")) else "blob"
        assert target == f"{SOURCE}/{kind}/HEAD/{link}"
        assert (ROOT / link.partition("#")[0]).exists()


def test_the_wheel_has_the_package_with_its_data_and_nothing_else(wheel):
    files = {Path(name) for name in wheel.namelist()}
    ours = {x for x in files if not x.parts[0].endswith(".dist-info")}
    package = ROOT / "tinygrad_edu"
    assert ours == {
        path.relative_to(ROOT)
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sum(wheel.getinfo(x.as_posix()).compress_size for x in ours) < 2_000_000


def test_groups_and_extras_are_one_list():
    extras = PROJECT["project"]["optional-dependencies"]
    for name, group in PROJECT["dependency-groups"].items():
        assert group == [f"tinygrad_edu[{name}]"]
        assert name in extras


def test_a_citation_says_what_the_project_says_of_itself():
    yaml = pytest.importorskip("yaml", reason="it comes with the docs")
    project = PROJECT["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["title"] == project["name"]
    assert citation["abstract"] == project["description"]
    assert citation["authors"] == project["authors"]
    assert citation["keywords"] == project["keywords"]
    assert citation["license"] == project["license"].partition(" ")[0]
    assert citation["repository-code"] == SOURCE
