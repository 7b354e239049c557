"""A complete run as one page of HTML, which needs nothing else."""
