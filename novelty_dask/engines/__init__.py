"""Engines: what finds the neighbors of rows.  Knows neither Dask nor Zarr."""
