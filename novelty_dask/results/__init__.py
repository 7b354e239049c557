"""Results: readers of the rows of a complete run, in any order, and writers of files."""
