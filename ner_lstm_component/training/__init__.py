"""What ``spacy train`` needs: batches, augmentation, aligned annotation, calibration, loggers."""
