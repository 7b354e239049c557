"""Clusters: local worker processes, or a scheduler elsewhere, and whether they are fit for the run."""
