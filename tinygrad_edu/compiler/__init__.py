"""From the recorded graph to the program that a person would write.

A function is run on stand-ins for arrays (`tracer`, `recording`), which write down what
NumPy would have been called for (`program`, `functions`), or say why that cannot be
(`refusals`, `repeating`). What it uses besides its arguments is found and guarded
(`surroundings`). Passes make the program shorter and faster (`passes`, `laws`,
`cancelling`, `scaling`, `tuning`), `report` counts what that brings, and it is written
as source (`readable`; `scheduling`, `fast`; `loops`, of `grouping`, `nests` and
`elements`, run by `machine_code`; with `naming`, `expressions`). All that is done, and
the program run, in `compiling`.
"""

from tinygrad_edu.compiler.compiling import Compiled, compile

__all__ = ["Compiled", "compile"]
