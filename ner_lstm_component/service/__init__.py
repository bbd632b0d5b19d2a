"""The HTTP service: one module a concern, put together by `ner_lstm_component.app`."""
