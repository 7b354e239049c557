"""Kernels of vectors: products of small integers rule out nearly all pairs, and float64 decides."""
