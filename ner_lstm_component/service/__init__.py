"""The HTTP service. `application` combines the other modules."""

# The defaults of `ner-lstm serve`.
HOST, PORT = "127.0.0.1", 5000
WORKERS, THREADS = 2, 16
TIMEOUT, STOP_TIMEOUT, KEEP_ALIVE, CLIENT_TIMEOUT = 60, 30, 15, 30.0

# The folder through which workers share their metrics. prometheus_client reads it on import.
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
