"""Profiles of Hypothesis: `mutation` is content with the first failure."""

from hypothesis import Phase, settings

settings.register_profile("mutation", phases=[Phase.generate])
