"""From the recorded graph to the program that a person would write.

A function is run once on stand-ins for arrays (`tracer`, `recording`), which write down
what NumPy would have been called for (`program`). What the function uses besides its
arguments is found and guarded (`surroundings`). Passes make the program shorter and
faster (`passes`, `scaling`), and it is written as source (`readable`, `fast`).
"""

from tinygrad_edu.compiler.compiling import Compiled, compile

__all__ = ["Compiled", "compile"]
