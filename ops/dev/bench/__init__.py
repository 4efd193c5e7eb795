"""Benchmarks: everything in one run on the same servers, so that only ratios are read."""
