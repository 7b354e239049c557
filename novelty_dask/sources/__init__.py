"""Sources: from the names that a user gives to chunks of bytes.  Knows neither Dask nor Zarr."""
