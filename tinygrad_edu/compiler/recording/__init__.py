"""Record what a function does as a program.

The function runs twice on Tensors (`recorder`), and all that it computes comes to a
`tape`, op by op (`lowering`; `stand_ins`, `memory`), or is refused (`refusals`). It
takes `arguments` and other `inputs` (`captured`, at `accesses`), and has `results`;
`conditions` say when they hold.
"""
