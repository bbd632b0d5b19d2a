"""The evaluation of a pipeline's entities and errors, which ``scripts/evaluate.py`` runs.

In the order of the data: ``predictions`` → ``alignment`` → ``scores`` (with ``resampling``),
``errors`` → ``summary`` → ``pictures``, ``report``. Code that tags text must not import this
package.
"""
