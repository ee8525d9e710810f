"""The house: who may import whom, read from the imports themselves."""

import ast
import subprocess
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import tinygrad_edu as tg
from tinygrad_edu import ops

# A room imports only from floors below its own. The engine and the ops share a floor:
# ops are declared with the engine's `op`, and `tensor` has them as operators.
ROOMS = {
    "support": 0,
    "reference": 0,
    "engine": 1,
    "ops": 1,
    "formulas": 2,
    "nn": 2,
    "losses": 2,
    "optim": 2,
    "special": 2,
    "logpdf": 3,
    "compiler": 3,
    "drawing": 3,
    "checking": 3,
    "data": 3,
    "exercising": 4,
    "explaining": 4,
    "train": 4,
    # Doors, which users know by these names.
    "testing": 5,
    "checkpoints": 5,
    "parallel": 5,
    "__init__": 6,
}

# Who may import what besides NumPy and the standard library: what an extra installs.
GUESTS = {
    "checking.properties": {"hypothesis"},
    "checking.strategies": {"hypothesis"},
    "data.digits": {"pooch"},
    "drawing.layout": {"pygraphviz"},
    "drawing.png": {"resvg_py"},
    "special": {"scipy"},
    "train.checkpoints.storage": {"safetensors"},
    "train.history": {"matplotlib"},
    "train.job": {"mpi4py"},
    "train.progress": {"IPython", "rich"},
}

PACKAGE = Path(tg.__file__).parent
TREES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(
        ".__init__"
    ): ast.parse(path.read_text())
    for path in PACKAGE.rglob("*.py")
}

each_module = pytest.mark.parametrize("module", sorted(TREES))


def imports(tree):
    """List what a tree imports, in full: "numpy", "tinygrad_edu.engine.graph.Node".

    Also what it names to `import_module`, or to `extras.import_library`.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            if function in ("import_module", "__import__", "import_library"):
                first = node.args[:1]
                yield from (a.value for a in first if isinstance(a, ast.Constant))


def own_modules(tree):
    """Name the modules of the package that a tree imports."""
    names = {name.partition("tinygrad_edu.")[2] for name in imports(tree)}
    modules = sorted(TREES, key=len, reverse=True)
    found = (
        next((m for m in modules if f"{n}.".startswith(f"{m}.")), "") for n in names
    )
    return {module for module in found if module}


def room(module):
    return module.partition(".")[0]


def test_every_room_has_a_floor():
    assert ROOMS.keys() ^ set(map(room, TREES)) == set()


@each_module
def test_a_room_imports_only_from_the_floors_below(module):
    here = room(module)
    others = {room(other) for other in own_modules(TREES[module])} - {here}
    if here in ("engine", "ops"):
        others -= {"engine", "ops"}
    assert {other for other in others if ROOMS[other] >= ROOMS[here]} == set()


# Within the compiler: which of its inner rooms may import which.
COMPILER = {"passes": set(), "recording": {"passes"}, "writing": {"passes"}}


@pytest.mark.parametrize("inner", sorted(COMPILER))
def test_rooms_of_the_compiler_meet_in_programs_only(inner):
    found = {
        other.split(".")[1]
        for module, tree in TREES.items()
        if module.startswith(f"compiler.{inner}.")
        for other in own_modules(tree)
        if other.startswith("compiler.")
    }
    last = {"compiling", "variant"}
    assert found & ({*COMPILER} | last) - {inner} == COMPILER[inner]


def test_no_module_imports_itself_by_way_of_others():
    below = {module: own_modules(tree) - {module} for module, tree in TREES.items()}
    TopologicalSorter(below).prepare()  # raises CycleError


@pytest.mark.parametrize(
    "name",
    sorted({*ROOMS, *(f"compiler.{inner}" for inner in COMPILER)} - {"__init__"}),
)
def test_every_room_says_what_it_is_for_in_a_few_lines(name):
    told = ast.get_docstring(TREES[name])
    assert 1 <= len(told.splitlines()) <= 10


@each_module
def test_no_import_hides_inside_a_function_to_dodge_a_cycle(module):
    hidden = {
        name
        for function in ast.walk(TREES[module])
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for name in own_modules(function)
    }
    assert hidden == set()


@each_module
def test_numpy_is_the_only_package_that_is_needed(module):
    roots = {name.partition(".")[0] for name in imports(TREES[module])}
    others = roots - sys.stdlib_module_names - {"numpy", "tinygrad_edu"}
    assert others == GUESTS.get(module, set())


@each_module
def test_every_module_says_what_it_is_for(module):
    assert ast.get_docstring(TREES[module])


def test_a_class_has_a_name_of_its_own():
    """Across all rooms, private ones too; a leading underscore makes no difference."""
    places = defaultdict(list)
    for module, tree in TREES.items():
        if module == "engine.simple":  # the engine in small, so its Tensor is a Tensor
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(module)
    assert {name: at for name, at in places.items() if len(at) > 1} == {}


# Functions of two modules that share a name, and why they may.
NAMESAKES = {
    "log_softmax": "the op, and SciPy's, which is of all elements by default",
    "logsumexp": "the op, and SciPy's, which takes factors",
    "softmax": "the op, and SciPy's, which is of all elements by default",
    "astype": "the op, and what it is in a compiled program",
    "norm": "of a vector, and the normal distribution's density",
    "sigmoid": "the op, and the judge's own",
}


def test_functions_of_one_name_do_one_thing():
    places = defaultdict(set)
    for module, tree in TREES.items():
        if module == "engine.simple":
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                places[node.name].add(module)
    assert {name for name, at in places.items() if len(at) > 1} == NAMESAKES.keys()


def test_importing_the_package_loads_nothing_but_numpy():
    """Measured in a fresh interpreter against what NumPy alone loads."""

    def loaded(statement):
        code = f"import sys; {statement}; print(*sys.modules)"
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return {name.partition(".")[0] for name in run.stdout.split()}

    more = loaded("import tinygrad_edu") - loaded("import numpy")
    assert more - sys.stdlib_module_names == {"tinygrad_edu"}


# --- The front door -------------------------------------------------------------------


def test_only_the_table_of_ops_is_taken_as_a_whole():
    """Elsewhere what is imported is named."""
    stars = {
        (module, name)
        for module, tree in TREES.items()
        for name in imports(tree)
        if name.endswith("*")
    }
    assert stars == {("__init__", "tinygrad_edu.ops.*")}


def test_all_names_what_is_imported_and_nothing_else():
    """But for `testing`: importing * must not need what an extra installs."""
    own = (name for name in imports(TREES["__init__"]) if name.startswith(tg.__name__))
    names = {name.rpartition(".")[2] for name in own} - {"*", "ops"} | set(ops.__all__)
    assert set(tg.__all__) ^ names == {"testing"}
    assert set(dir(tg)) == names


def test_weights_are_saved_and_loaded_from_the_front_door_which_stays_light():
    assert tg.save is tg.checkpoints.save
    assert tg.load is tg.checkpoints.load
    code = "import sys, tinygrad_edu; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    rooms = ("train", "exercising", "checking", "support.language")
    heavy = {f"tinygrad_edu.{room}" for room in rooms}
    assert heavy & set(run.stdout.split()) == set()


def test_all_is_there_once():
    assert len(tg.__all__) == len(set(tg.__all__))
    assert all(hasattr(tg, name) for name in tg.__all__)


def test_a_name_that_is_not_at_the_front_door_raises():
    with pytest.raises(AttributeError, match="sigmiod"):
        _ = tg.sigmiod
