"""Rows of a run that are alike: all pairs at least so similar, and their groups."""
