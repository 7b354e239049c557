"""Kinds and lengths of random tokens, which URLs are masked of."""

HEX, UUID, MIXED = range(3)
"""Kinds: hexadecimal numbers, UUIDs, and mixtures of digits, small and capital letters."""
SHORTEST_HEX, SHORTEST_MIXED, SHORTEST_SEGMENT, UUID_LENGTH = 8, 10, 12, 36
"""Characters of the shortest of a kind, of a segment that is masked as a whole, and of all UUIDs."""
