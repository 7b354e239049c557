"""Objects: bytes under keys, commits of tasks, and ownership of runs.  Nothing here knows Zarr."""
