"""A process that does one system's part of a benchmark, a round at a time as it is told.

`benchmark.py` starts it and writes lines of JSON to its standard input: ``{"do": method of
Worker, …its arguments}``. For each it answers one line: ``{"result": …}`` or ``{"error": …}``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

# Nothing heavy is imported here: what loading costs is measured.

# By what time is measured: that of all threads of this process, too.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Worker:
    """What `benchmark.py` can ask for. Times are in seconds, memory is in bytes.

    :param clock: a name in `CLOCKS`.
    """

    def __init__(self, clock: str = "wall") -> None:
        self.clock = CLOCKS[clock]

    # -- loading

    def import_spacy(self) -> dict[str, float]:
        """The least that any pipeline costs."""
        import spacy  # noqa: F401

        return {"peak": peak_memory()}

    def load(self, path: str, exclude: Sequence[str], runtime: str | None) -> dict[str, float]:
        """Load a pipeline, without some of its components, and choose its runtime."""
        import spacy

        start = self.clock()
        self.nlp = spacy.load(path, exclude=exclude)
        if runtime is not None:
            from ner_lstm_component.tensorflow_wrapper import set_runtime

            for _, component in self.nlp.pipeline:
                set_runtime(component.model, runtime)
        return {"seconds": self.clock() - start, "peak": peak_memory()}

    def read(self, path: str) -> None:
        """Take texts from a file of JSON."""
        self.texts: list[str] = json.loads(Path(path).read_text(encoding="utf-8"))

    # -- tagging

    def pipe(self, batch_size: int, n_process: int = 1) -> float:
        """Tag all texts as a stream."""
        start = self.clock()
        for doc in self.nlp.pipe(self.texts, batch_size=batch_size, n_process=n_process):
            _ = doc.ents
        return self.clock() - start

    def single(self, count: int) -> list[float]:
        """Tag some texts one by one, others at each call."""
        if not hasattr(self, "_endless"):
            self._endless = cycle(self.texts)
        seconds = []
        for text in islice(self._endless, count):
            start = self.clock()
            _ = self.nlp(text).ents
            seconds.append(self.clock() - start)
        return seconds

    def first(self, text: str) -> dict[str, float]:
        """The first prediction."""
        _ = self.nlp(text).ents
        return {"peak": peak_memory()}

    def share(self, sentences: int, batch_size: int) -> float:
        """Tag so many sentences, the texts again and again."""
        start = self.clock()
        for doc in self.nlp.pipe(islice(cycle(self.texts), sentences), batch_size=batch_size):
            _ = doc.ents
        return self.clock() - start

    # -- growth

    def stream(self, sentences: int, batch_size: int) -> dict[str, float]:
        """Tag a stream of so many sentences, keeping none."""
        self.share(1000, batch_size)
        before = memory()
        forget_peak()
        seconds = self.share(sentences, batch_size)
        return {"seconds": seconds, "grown": peak_memory() - before}

    def doc(self, tokens: int, least: int) -> dict[str, float]:
        """Tag Docs of so many tokens, already tokenized: one, or more to have some to time.

        :param tokens: of a Doc.
        :param least: of all Docs together, at least.
        :return: the seconds of a Doc, and how far memory rose above that with the Docs made.
        """
        self.share(1000, 256)
        words = self._words()
        docs = [self._doc(words, tokens) for _ in range(max(1, least // tokens))]
        before = memory()
        forget_peak()
        seconds = []
        for doc in docs:
            start = self.clock()
            for _, component in self.nlp.pipeline:
                doc = component(doc)
            seconds.append(self.clock() - start)
        seconds.sort()
        return {"seconds": seconds[len(seconds) // 2], "beyond": peak_memory() - before}

    def _words(self) -> Iterator[tuple[str, bool]]:
        """The texts' tokens again and again, each with whether a space follows."""
        by_text = [
            # The space between two sentences, too.
            [(token.text, bool(token.whitespace_) or token.i == len(doc) - 1) for token in doc]
            for doc in map(self.nlp.make_doc, self.texts)
        ]
        return cycle([word for words in by_text for word in words])

    def _doc(self, words: Iterable[tuple[str, bool]], tokens: int) -> Any:
        from spacy.tokens import Doc

        texts, spaces = zip(*islice(words, tokens), strict=True)
        return Doc(self.nlp.vocab, words=list(texts), spaces=list(spaces))

    # -- where the time goes

    def steps(self, batch_size: int) -> dict[str, float]:
        """Seconds by step of tagging all texts as a stream; ``whole`` is all of it."""
        return self._timed(lambda: self.pipe(batch_size))

    def steps_of_single(self, count: int) -> dict[str, float]:
        """The same for some texts one by one."""
        return self._timed(lambda: sum(self.single(count)))

    def _timed(self, run: Any) -> dict[str, float]:
        from benchmark_steps import STEPS, Timers, timed_steps

        timers = Timers(self.clock)
        with timed_steps(timers):
            whole = run()
        return {"whole": whole, **{step: timers.seconds[step] for step in STEPS}}

    def count_tokens(self) -> int:
        """Tokens of all texts."""
        return sum(len(self.nlp.make_doc(text)) for text in self.texts)

    # -- training

    def prepare_training(self, kind: str, config: str, train: str, limit: int) -> None:
        """Make a training ready.

        :param kind: a name in `benchmark_training.TRAININGS`.
        :param config: that of the training.
        :param train: a ``.spacy`` file.
        :param limit: examples to take of it; 0 for all.
        """
        from benchmark_training import TRAININGS

        self.training = TRAININGS[kind](Path(config), Path(train), limit)

    def train(self, tokens: int) -> tuple[float, int]:
        """Train on at least so many tokens; seconds, and tokens."""
        start = self.clock()
        seen = self.training.run(tokens)
        return self.clock() - start, seen


# ---------------------------------------------------------------- memory


def memory() -> int:
    """What this process holds now."""
    return _status("VmRSS")


def peak_memory() -> int:
    """The most that this process held.

    Not ``ru_maxrss`` where Linux tells: that of a process includes what its parent held
    when it started it.
    """
    return _status("VmHWM")


def forget_peak() -> None:
    """Have the peak begin at what is held now, where Linux can."""
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


# ---------------------------------------------------------------- the conversation


def main() -> None:
    """Do what the lines of standard input say, until there are no more."""
    # What libraries print goes elsewhere than the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(*sys.argv[1:])
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer = {"result": getattr(worker, task.pop("do"))(**task)}
        except Exception:  # told to the other side, which stops
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
