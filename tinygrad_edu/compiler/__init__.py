"""From a function to the program that a person would write.

A function runs twice on Tensors (`recording`), and what it does comes to a tape
(`lowering`, `tape`; `stand_ins`, `memory`), or is refused (`refusals`). It takes
`arguments` and other `inputs` (`captured`, `accesses`), and has `results`; `conditions`
say when they hold. Passes make the `program` shorter and faster (`passes`, `laws`,
`cancelling`, `scaling`, `tuning`, `assembling`; `report`), and it is written as source
(`readable`, `repeating`; `scheduling`, `fast`; `loops`, of `grouping`, `nests`,
`elements`; with `naming`, `expressions`, `namespace`, `functions`). `variant` runs it;
see `compiling`.
"""

from tinygrad_edu.compiler.compiling import Compiled, compile

__all__ = ["Compiled", "compile"]
