"""Write the table of ops, docs/ops.md, from their declarations.

python docs/op_table.py
"""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from tinygrad_edu import ops, special
from tinygrad_edu.engine.op import OPS, REAL, Composite, Op

PAGE = Path(__file__).with_name("ops.md")

INTRODUCTION = """\
# The table of ops

`python docs/op_table.py` writes this page from the declarations; a test compares them.

Each op is a function of the package (`tg.exp`, `tg.linalg.solve`) and a method of
Tensors (`t.exp()`). NumPy's function of the same name calls it for a Tensor
(`np.exp(t)`). On arrays it returns an array. Inputs come first, by position. Parameters
follow, by position or by name.

An op in **bold** has its own backward rules; the others are composed of these.
*Domain* says which inputs are valid, if not all numbers. *Where there is no derivative*
says which gradient the op uses at such points.
"""


def page() -> str:
    """Return the page as it should be."""
    return "\n".join([INTRODUCTION, *sections()])


def sections() -> Iterator[str]:
    names = [name for _, name, _ in iter_modules(ops.__path__)]
    chapters = [import_module(f"{ops.__name__}.{name}") for name in names]
    for chapter in [*chapters, special]:
        name = chapter.__name__.rpartition(".")[2]
        yield f"## {name.capitalize()}\n"
        yield f"{chapter.__doc__.strip()}\n"
        yield "| function | formula | domain | where there is no derivative |"
        yield "|---|---|---|---|"
        yield from (row(op) for _, op in sorted(declared_in(chapter)))
        yield ""


def declared_in(chapter: ModuleType) -> Iterator[tuple[str, Op]]:
    """Find the ops that a chapter declares, among those that it imports too."""
    source = inspect.getsource(chapter)
    for name, thing in vars(chapter).items():
        declaration = re.compile(rf"^(def {name}\(|{name} = )", re.MULTILINE)
        if isinstance(thing, Op) and declaration.search(source):
            yield thing.name, thing


def row(op: Op) -> str:
    """Return the line of one op."""
    name = op.name if isinstance(op, Composite) else f"**{op.name}**"
    call = f"{name}`{str(op).removeprefix(op.name)}`"
    math = formula(op)
    domains = [f"{x} in {d}" for x, d in op.domain.items() if d != REAL]
    cells = [call, f"${math}$" if math else "", ", ".join(domains)]
    cells.append(op.subgradient or "")
    return f"| {' | '.join(cells)} |"


def formula(op: Op) -> str:
    """Return an op's formula, in the names of its inputs; "" if it has none."""
    places = [*op.inputs, *op.defaults]
    letters = {x: x if len(x) == 1 else rf"\mathit{{{x}}}" for x in places}
    return (op.tex or "").format(**letters)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(f"{PAGE.name}: {len(OPS)} ops")
