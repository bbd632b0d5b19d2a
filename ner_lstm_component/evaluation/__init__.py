"""How good a pipeline's entities are, and where they fail: what ``scripts/evaluate.py`` shows.

In the order of the data: ``predictions`` → ``alignment`` → ``scores`` (with ``resampling``),
``errors`` → ``summary`` → ``pictures``, ``report``. The package needs the extra
``train``; nothing that tags text may import it.
"""
