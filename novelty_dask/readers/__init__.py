"""Readers: from the bytes of sources to records, and of each the text that is scored."""
