"""What lies on disk: sources, runs and their arrays.  The only importer of zarr."""
