"""Two directives that show the declarations of ops.

`ops` makes an entry in the reference for each op of a chapter; `declarations` shows the
source of some ops.
"""

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from textwrap import indent

from docutils import nodes
from op_table import declared_in, formula
from sphinx.application import Sphinx
from sphinx.directives.code import container_wrapper
from sphinx.util.docutils import SphinxDirective

import tinygrad_edu as tg
from tinygrad_edu.engine.op import REAL, Composite, Op


class Ops(SphinxDirective):
    required_arguments = 1  # the name of the chapter

    def run(self) -> list[nodes.Node]:
        chapter = import_module(f"tinygrad_edu.ops.{self.arguments[0]}")
        self.env.note_dependency(chapter.__file__)
        source = inspect.getsource(chapter)
        ops = sorted(declared_in(chapter), key=lambda item: item[1].name)
        text = "\n".join(entry(op, declaration(source, name, op)) for name, op in ops)
        return self.parse_text_to_nodes(f".. currentmodule:: tinygrad_edu\n\n{text}")


class Declarations(SphinxDirective):
    required_arguments = 1  # the name of the chapter
    optional_arguments = 1  # the ops
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        chapter = import_module(f"tinygrad_edu.ops.{self.arguments[0]}")
        self.env.note_dependency(chapter.__file__)
        source, ops = inspect.getsource(chapter), dict(declared_in(chapter))
        names = self.arguments[1].split()
        code = "\n\n".join(declaration(source, name, ops[name]) for name in names)
        block = nodes.literal_block(code, code, language="python")
        where = f"{chapter.__name__.replace('.', '/')}.py"
        return [container_wrapper(self, block, where)]


def entry(op: Op, source: str) -> str:
    """Return the entry of one op, in reStructuredText."""
    home = "" if hasattr(tg, op.name) else "linalg."
    facts = ("Formula: ", "Shapes: ", "Domain: ", "Subgradient: ")
    told = op.__doc__.removeprefix(f"{op}: ").split("\n\n")
    body = [paragraph for paragraph in told if not paragraph.startswith(facts)]
    body.append("\n".join(f"| {line}" for line in lines(op)))
    body.append(f".. code-block:: python\n\n{indent(source, '   ')}")
    text = indent("\n\n".join(body), "   ")
    return f".. py:function:: {home}{op}\n\n{text}\n"


def lines(op: Op) -> Iterator[str]:
    if op.tex:
        yield f"Formula: :math:`{formula(op)}`"
    if op.signature:
        yield f"Shapes: ``{op.signature}``"
    domains = [f"{x} in {d}" for x, d in op.domain.items() if d != REAL]
    if domains:
        yield f"Domain: {', '.join(domains)}"
    if op.subgradient:
        yield f"Where there is no derivative: {op.subgradient}"
    if isinstance(op, Composite):
        yield "Gradient: that of the ops it is made of"


def declaration(source: str, name: str, op: Op) -> str:
    """Cut what declares an op out of its chapter, and its rules that have names."""
    names = {name, *(rule.__name__ for rule in op.rules.values())}
    found = []
    for node in ast.parse(source).body:
        if names & {*declared(node)}:
            first = min([node, *getattr(node, "decorator_list", [])], key=at).lineno
            found.append("\n".join(source.splitlines()[first - 1 : node.end_lineno]))
    return "\n\n".join(found)


def at(node: ast.AST) -> int:
    return node.lineno


def declared(node: ast.stmt) -> Iterator[str]:
    """Name what a statement declares: `def f`, `f = ...`, or `f.vjp(...)`."""
    match node:
        case ast.FunctionDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (ast.unparse(target) for target in targets)
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), "vjp"))):
            yield name


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("ops", Ops)
    app.add_directive("declarations", Declarations)
    return {"parallel_read_safe": True}
