"""Pure functions of strings and arrays: no Dask, no Zarr, no files."""
