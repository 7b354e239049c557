"""The pipeline: one run, from the claim to its end, and what maintains it."""
