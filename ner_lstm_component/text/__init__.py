"""Text to what the network reads at once: sentences, windows, padded batches."""
