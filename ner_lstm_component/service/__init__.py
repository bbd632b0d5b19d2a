"""The HTTP service: one module a concern, put together by `ner_lstm_component.app`."""

# Names the folder where workers put their figures; prometheus_client reads it when imported.
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
