"""Make a program shorter and faster; each pass is a function from program to program.

`redundant` leaves out, `laws` simplifies, `cancelling` finds delta = a - y, `scaling`
moves factors, `tuning` replaces slow calls of NumPy, `assembling` puts parts together.
"""
