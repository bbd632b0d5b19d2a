"""The parts of benchmark.py, and the load and memory tests of the HTTP service."""
