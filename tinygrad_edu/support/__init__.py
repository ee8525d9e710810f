"""Helpers without gradients: nested structures, random generators, tables, files.

Read `tree` and `randomness` first; the engine uses them. `table` and `printable` format
output, `files` and `columns` read and write files, `states` checks saved states, and
`extras` imports optional libraries. `kinds` names the types of arguments.
"""
