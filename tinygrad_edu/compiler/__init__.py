"""From a function to the program that a person would write.

A `program` is a list of equations. A function runs on Tensors, and what it does is
recorded as a program (`recording`). Passes make it shorter and faster (`passes`). It is
written as source (`writing`), with the `functions`, `expressions` and names (`naming`,
`namespace`) that source is made of, in the order that `scheduling` finds. `variant`
runs it, `report` counts what it costs. Read `program` first, `compiling` last.
"""

from tinygrad_edu.compiler.compiling import Compiled, compile

__all__ = ["Compiled", "compile"]
