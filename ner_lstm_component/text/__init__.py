"""From Docs to the network's input: sentences, windows, padded batches."""
