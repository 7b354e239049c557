"""Text kernels: bytes to lines, URLs to sort keys, texts to weighted n-grams."""
