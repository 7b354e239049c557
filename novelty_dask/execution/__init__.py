"""Execution: who runs tasks, and on what.  The only importer of Dask, besides `results.frames`."""
