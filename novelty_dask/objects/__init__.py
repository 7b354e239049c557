"""Objects: bytes under keys, and records of what is done and who owns a run.  Knows no Zarr."""
