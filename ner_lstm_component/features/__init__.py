"""Tokens to integer ids: lexical features, and how the training data tags n-grams."""
