"""From tokens to integer ids: lexical features, and tag statistics of n-grams."""
