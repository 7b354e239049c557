"""The stages as Dask tasks, and what runs them.  The only importer of dask."""
