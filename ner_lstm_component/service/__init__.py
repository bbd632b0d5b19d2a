"""The HTTP service: what answers requests, and the page at ``/``."""
