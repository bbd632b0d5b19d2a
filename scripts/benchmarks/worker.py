"""A process that runs one system of a benchmark.

`Process` starts it and writes lines of JSON to its standard input: ``{"do": method of
`Worker`, …its arguments}``. It answers each with a line: ``{"result": …}`` or ``{"error": …}``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

# Nothing heavy is imported here, because the cost of loading is measured.

# Processor time is that of all threads of this process.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Worker:
    """The methods that a benchmark can run. Times are in seconds, memory is in bytes.

    :param clock: A name in `CLOCKS`.
    """

    def __init__(self, clock: str = "wall") -> None:
        self.clock = CLOCKS[clock]

    # -- loading

    def import_spacy(self) -> int:
        """Import spaCy, the least that any pipeline costs; return the peak memory."""
        import spacy  # noqa: F401

        return peak_memory()

    def load(self, path: str, exclude: Sequence[str], runtime: str | None) -> None:
        """Load a pipeline without some of its components, and choose its runtime."""
        import spacy

        self.nlp = spacy.load(path, exclude=exclude)
        if runtime is not None:
            from ner_lstm_component.tensorflow_wrapper import set_runtime

            for _, component in self.nlp.pipeline:
                set_runtime(component.model, runtime)

    def read(self, path: str) -> None:
        """Read the texts from a JSON file."""
        self.texts: list[str] = json.loads(Path(path).read_text(encoding="utf-8"))
        self._endless = cycle(self.texts)

    # -- tagging

    def pipe(self, batch_size: int, n_process: int = 1) -> float:
        """Tag all texts as a stream; return the time."""
        start = self.clock()
        for doc in self.nlp.pipe(self.texts, batch_size=batch_size, n_process=n_process):
            _ = doc.ents
        return self.clock() - start

    def single(self, count: int) -> list[float]:
        """Tag texts one by one, different ones in each call; return the time of each."""
        seconds = []
        for text in islice(self._endless, count):
            start = self.clock()
            _ = self.nlp(text).ents
            seconds.append(self.clock() - start)
        return seconds

    def first(self, text: str) -> int:
        """Tag the first text; return the peak memory."""
        _ = self.nlp(text).ents
        return peak_memory()

    def share(self, sentences: int, batch_size: int) -> float:
        """Tag a number of sentences, repeating the texts; return the time."""
        start = self.clock()
        for doc in self.nlp.pipe(islice(cycle(self.texts), sentences), batch_size=batch_size):
            _ = doc.ents
        return self.clock() - start

    # -- growth

    def stream(self, sentences: int, batch_size: int) -> tuple[float, int]:
        """Tag a stream without keeping its Docs; return the time and the growth of memory."""
        self.share(1000, batch_size)
        before = memory()
        forget_peak()
        seconds = self.share(sentences, batch_size)
        return seconds, peak_memory() - before

    def doc(self, tokens: int, least: int) -> tuple[float, int]:
        """Tag Docs of a length that are tokenized already.

        :param tokens: Tokens of each Doc.
        :param least: Tokens of all Docs together, at least.
        :return: The median time of a Doc, and the growth of memory after the Docs were made.
        """
        from spacy.tokens import Doc

        self.share(1000, 256)
        words = self._words()
        docs = []
        for _ in range(max(1, least // tokens)):
            texts, spaces = zip(*islice(words, tokens), strict=True)
            docs.append(Doc(self.nlp.vocab, words=list(texts), spaces=list(spaces)))
        before = memory()
        forget_peak()
        seconds = []
        for doc in docs:
            start = self.clock()
            for _, component in self.nlp.pipeline:
                doc = component(doc)
            seconds.append(self.clock() - start)
        seconds.sort()
        return seconds[len(seconds) // 2], peak_memory() - before

    def _words(self) -> Iterator[tuple[str, bool]]:
        """Repeat the tokens of all texts, each with whether a space follows it."""
        by_text = [
            # A space separates two sentences, too.
            [(token.text, bool(token.whitespace_) or token.i == len(doc) - 1) for token in doc]
            for doc in map(self.nlp.make_doc, self.texts)
        ]
        return cycle([word for words in by_text for word in words])

    # -- steps

    def steps(self, batch_size: int) -> dict[str, float]:
        """Tag all texts as a stream; return the time of each step and of the ``whole``."""
        return self._timed(lambda: self.pipe(batch_size))

    def steps_of_single(self, count: int) -> dict[str, float]:
        """Tag texts one by one; return the time of each step and of the ``whole``."""
        return self._timed(lambda: sum(self.single(count)))

    def _timed(self, run: Callable[[], float]) -> dict[str, float]:
        from benchmarks.steps import STEPS, Timers, timed_steps

        timers = Timers(self.clock)
        with timed_steps(timers):
            whole = run()
        return {"whole": whole, **{step: timers.seconds[step] for step in STEPS}}

    def count_tokens(self) -> int:
        """Return the number of tokens in all texts."""
        return sum(len(self.nlp.make_doc(text)) for text in self.texts)

    # -- training

    def prepare_training(self, kind: str, config: str, train: str, limit: int) -> None:
        """Prepare a training.

        :param kind: A name in `TRAININGS`.
        :param config: The config of the training.
        :param train: A ``.spacy`` file.
        :param limit: How many of its examples to use. 0 stands for all.
        """
        from benchmarks.training import TRAININGS

        self.training = TRAININGS[kind](Path(config), Path(train), limit)

    def train(self, tokens: int) -> tuple[float, int]:
        """Train on at least this many tokens; return the time and the number of tokens."""
        start = self.clock()
        seen = self.training.run(tokens)
        return self.clock() - start, seen


# ---------------------------------------------------------------- memory


def memory() -> int:
    """Return the memory that this process holds now."""
    return _status("VmRSS")


def peak_memory() -> int:
    """Return the peak memory of this process.

    On Linux, ``ru_maxrss`` is not used: it includes what the parent held when it started
    this process.
    """
    return _status("VmHWM")


def forget_peak() -> None:
    """Reset the peak to what is held now. Only Linux can do so."""
    switch = Path("/proc/self/clear_refs")
    if switch.exists():
        switch.write_text("5")


def _status(name: str) -> int:
    path = Path("/proc/self/status")
    if not path.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    (line,) = (line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Answer the lines of standard input until there are no more."""
    # Standard output is for answers. What libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(*sys.argv[1:])
    for line in sys.stdin:
        task: dict[str, Any] = json.loads(line)
        try:
            answer = {"result": getattr(worker, task.pop("do"))(**task)}
        except Exception:  # The benchmark stops with this message.
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
