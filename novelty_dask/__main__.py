"""``python -m novelty_dask`` is ``novelty``."""

from novelty_dask.cli import main

main(prog_name="novelty")
