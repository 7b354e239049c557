"""Pure integers: which blocks meet, in which order, and what memory that takes."""
