"""Results: reading the rows of a complete run, in any order, and writing them to files."""
