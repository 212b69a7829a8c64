"""Benchmarks, each a ratio within one run."""
