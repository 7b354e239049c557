"""Rows that are vectors already: where they come from, and their neighbors."""
