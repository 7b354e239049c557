"""Planning in pure integers: stages and their arrays, blocks and tiles, memory and disk."""
