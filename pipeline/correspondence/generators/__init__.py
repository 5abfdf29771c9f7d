"""Generators of proposals that need no network; those that are networks stand in pipeline/models/."""
