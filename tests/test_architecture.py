"""The house: who may import whom, read from the imports themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_edu as tg

# A module imports only from the floors below its own, so there can be no cycle. The
# chapters of the table of ops are steps between two floors.
FLOORS = {
    "differences": 0,
    "errors": 0,
    "extras": 0,
    "files": 0,
    "graph": 0.1,
    "modes": 0,
    "checkpoints.random_states": 0,
    "idx": 0,
    "job": 1,
    "printable": 0,
    "randomness": 0,
    "reference": 0,
    "slips": 0,
    "table": 0,
    "templates": 0,
    "tree": 0,
    "columns": 1,
    "digits": 1,
    "history": 2,
    "naming": 1,
    "op": 1,
    "states": 1,
    "formula": 2,
    "data": 2,
    "ops": 3,
    "ops.choices": 2.1,
    "ops.arithmetic": 2.1,
    "ops.functions": 2.2,
    "ops.shapes": 2.2,
    "ops.indexing": 2.3,
    "ops.trigonometry": 2.3,
    "ops.joining": 2.4,
    "ops.rearranging": 2.5,
    "ops.reductions": 2.5,
    "ops.cumulative": 2.6,
    "ops.einsum": 2.4,
    "ops.products": 2.6,
    "ops.linalg": 2.7,
    "autodiff": 3,
    "debug": 3,
    "protocols": 3,
    "symbols": 0,
    "notation": 3,
    "tensor": 4,
    "shares": 5,
    "derivation": 6,
    "explaining": 7,
    "transforms": 5,
    "recompute": 4,
    "strategies": 6.3,
    "strategies.parameters": 6,
    "strategies.layouts": 6.1,
    "strategies.calls": 6.2,
    "losses": 5,
    "nn": 5.4,
    "nn.initialising": 5,
    "nn.layers": 5.2,
    "nn.mlp": 5.3,
    "nn.module": 5.1,
    "nn.summary": 1,
    "optim": 5,
    "parallel": 5,
    "probe": 5,
    "compiler.functions": 0,
    "compiler.program": 1,
    "compiler.scheduling": 2,
    "compiler.tuning": 3,
    "compiler.refusals": 4,
    "compiler.expressions": 2,
    "compiler.namespace": 2.1,
    "compiler.naming": 2.2,
    "compiler.tracer": 5,
    "compiler.passes": 6,
    "compiler.cancelling": 6.1,
    "compiler.scaling": 6.1,
    "compiler.fast": 6.1,
    "compiler.readable": 6.1,
    "compiler.loops": 6.2,
    "compiler.report": 6.2,
    "compiler.surroundings": 6,
    "compiler.repeating": 6.1,
    "compiler.recording": 6.2,
    "compiler.compiling": 7,
    "compiler": 8,
    "drawing.measure": 0,
    "drawing.modules": 1,
    "drawing.png": 1,
    "drawing.repeats": 1,
    "drawing.words": 1,
    "drawing.picture": 4,
    "drawing.layout": 5,
    "drawing.source": 7,
    "drawing.svg": 6,
    "drawing": 8,
    "packing": 0,
    "walking": 6,
    "narration": 7,
    "stepper": 8,
    "checkpoints.locking": 0,
    "checkpoints.settings": 6,
    "checkpoints.storage": 1,
    "checkpoints.weights": 6,
    "checkpoints.training": 7,
    "checkpoints.folder": 7.1,
    "checkpoints": 8,
    "train.interrupts": 0,
    "train.progress": 0,
    "train.schedules": 0,
    "train.batches": 9,
    "train.fitting": 10,
    "train": 11,
    "comparing": 6,
    "diagnosis": 6,
    "checking": 7,
    "testing": 7,
    "__init__": 12,
}

# Who may import what besides NumPy and the standard library: what an extra installs.
GUESTS = {
    "checkpoints.storage": {"safetensors"},
    "digits": {"pooch"},
    "drawing.layout": {"pygraphviz"},
    "drawing.png": {"resvg_py"},
    "history": {"matplotlib"},
    "job": {"mpi4py"},
    "strategies": {"hypothesis"},
    "strategies.calls": {"hypothesis"},
    "strategies.layouts": {"hypothesis"},
    "strategies.parameters": {"hypothesis"},
    "testing": {"hypothesis"},
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
    """List what a tree imports, in full: "numpy", "tinygrad_edu.graph.Node".

    Also what it names to `import_module`, or to `extras.load`.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            if function in ("import_module", "__import__", "load"):
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


def test_every_module_has_a_floor():
    assert FLOORS.keys() ^ TREES.keys() == set()


@each_module
def test_a_module_imports_only_from_the_floors_below(module):
    not_below = {m for m in own_modules(TREES[module]) if FLOORS[m] >= FLOORS[module]}
    assert not_below == set()


@pytest.mark.parametrize(
    "module", ["errors", "extras", "files", "idx", "modes", "reference", "tree"]
)
def test_the_ground_floor_imports_nothing_of_the_package(module):
    assert own_modules(TREES[module]) == set()


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


def test_the_package_reexports_by_name():
    assert [name for name in imports(TREES["__init__"]) if name.endswith("*")] == []


def test_all_names_what_is_imported_and_nothing_else():
    """But for `testing`: importing * must not need what an extra installs."""
    own = (name for name in imports(TREES["__init__"]) if name.startswith(tg.__name__))
    names = {name.rpartition(".")[2] for name in own}
    assert set(tg.__all__) ^ names == {"testing"}
    assert set(dir(tg)) == names


def test_all_is_there_once():
    assert len(tg.__all__) == len(set(tg.__all__))
    assert all(hasattr(tg, name) for name in tg.__all__)


def test_a_name_that_is_not_at_the_front_door_raises():
    with pytest.raises(AttributeError, match="sigmiod"):
        _ = tg.sigmiod
