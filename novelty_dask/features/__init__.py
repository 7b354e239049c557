"""Features of lines, by which they are compared."""
