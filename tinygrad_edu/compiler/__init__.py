"""From a function to the program that a person would write.

A function is run on Tensors, and a tape follows it and writes down equations
(`recording`, `tape`, `program`, `functions`), or says why there can be no program
(`refusals`). What the function uses besides its arguments is found and guarded
(`captured`). Passes make the program shorter and faster (`passes`, `laws`,
`cancelling`, `scaling`, `tuning`), `report` counts what that brings, and it is written
as source (`readable`, with `repeating`; `scheduling`, `fast`; `loops`, of `grouping`,
`nests` and `elements`; with `naming`, `expressions`, `namespace`). All that is done,
and the program run, in `compiling`.
"""

from tinygrad_edu.compiler.compiling import Compiled, compile

__all__ = ["Compiled", "compile"]
