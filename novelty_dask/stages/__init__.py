"""Stages: what one task of each stage does.  Knows no Dask."""
