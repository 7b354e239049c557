"""A page on the dashboard of Dask's scheduler that shows the runs which work there."""
