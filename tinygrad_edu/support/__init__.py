"""Tools that know nothing of gradients: tables, nested structures, files, generators.

Read `tree` and `randomness` first; the engine uses them. `table` and `printable` are
for what is shown, `files` and `columns` for what is written, `states` for what is
saved, and `extras` for libraries that only a part of the package needs.
"""
