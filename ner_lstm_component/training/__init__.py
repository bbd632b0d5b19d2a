"""Extensions for ``spacy train``: batches, augmentation, calibration, loggers."""
