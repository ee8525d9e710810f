"""Hypothesis profiles: `--hypothesis-profile=mutation` fails without looking further."""

from hypothesis import Phase, settings

settings.register_profile("mutation", phases=[Phase.generate])
