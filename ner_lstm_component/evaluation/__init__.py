"""How good a pipeline's entities are, and where they fail: what ``scripts/evaluate.py`` shows.

``predictions`` → ``alignment`` → ``scores``, ``significance``, ``confusion``, ``breakdown``,
``errors`` → ``summary`` → ``pictures``, ``report``, one module a step, in that order. The package
needs the extra ``train``; nothing that tags text may import it.
"""
