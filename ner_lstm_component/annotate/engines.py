"""The processes that annotate parts: others on this machine, or those of a Ray cluster.

All of them call the function of `job.Job.start`, so what they write is the same.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

from .job import Counts, Job
from .parts import AnnotateError, Part, RowRange

_annotate: Callable[[Part], Counts]


def in_pool(job: Job, parts: Iterable[Part], workers: int) -> Iterator[Counts]:
    """Annotate parts in worker processes, of which each loads the pipeline once.

    :raises AnnotateError: if a worker is killed, for instance because the memory is exhausted.
    """
    # A forked process would inherit what the parent holds, and may not fork again safely.
    context = multiprocessing.get_context("spawn")
    remaining = iter(parts)
    with ProcessPoolExecutor(workers, context, _start, (job,)) as pool:
        running: set[Future[Counts]] = set()
        try:
            while True:
                # One part waits for each worker, so that no more than that is in memory.
                for part in islice(remaining, 2 * workers - len(running)):
                    running.add(pool.submit(_run, part))
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        except BrokenProcessPool as error:
            raise AnnotateError(
                "A worker was killed, or could not start; perhaps the memory is exhausted. Run the "
                "command again to go on, with fewer --workers if it was."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start(job: Job) -> None:
    global _annotate
    # On Ctrl-C the workers finish their parts, and the parent stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _annotate = job.start(job.load())


def _run(part: Part) -> Counts:
    return _annotate(part)


def on_ray(job: Job, parts: Iterable[Part], workers: int, address: str | None) -> Iterator[Counts]:
    """Annotate parts of Parquet files by actors of Ray Data, each of which loads the pipeline once.

    An actor that is lost is started again, with its part. All nodes must see the input, the output
    and the pipeline under the same paths.

    :param address: the address of a cluster, or None for one of this machine alone.
    """
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False
    started = not ray.is_initialized()
    if started:
        ray.init(address=address, log_to_driver=False, include_dashboard=False)
    try:
        rows = [vars(part) for part in parts]
        if not rows:
            return
        counts = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_args=(job,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
            num_cpus=1,
        )
        for row in counts.iter_rows():
            yield Counts(**{name: int(value) for name, value in row.items()})
    finally:
        if started:
            ray.shutdown()


class _Actor:
    """A process of Ray that annotates parts."""

    def __init__(self, job: Job) -> None:
        self._annotate = job.start(job.load())

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[int]]:
        fields = {name: values[0] for name, values in batch.items()}
        path = str(fields.pop("path"))
        part = RowRange(path=path, **{name: int(value) for name, value in fields.items()})
        return {name: [value] for name, value in self._annotate(part)._asdict().items()}
