"""Helpers without gradients: nested structures, random generators, tables, files.

Read `tree` and `randomness` first; the engine uses them. `table` and `printable` format
output, `files` writes files, `states` checks saved states, and `extras` imports
optional libraries. `language` says messages in the learner's language, and `foreign`
helps users of other frameworks. `kinds` names the types of arguments.
"""
