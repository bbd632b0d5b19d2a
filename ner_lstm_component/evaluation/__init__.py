"""How good a pipeline's entities are, and where they fail: what ``scripts/evaluate.py`` shows.

In the order of the data: ``predictions`` → ``alignment`` → ``scores`` (with ``resampling``),
``errors`` → ``summary`` → ``pictures``, ``report``. Nothing that tags text may import it.
"""
