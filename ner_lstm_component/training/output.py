"""The folder that a training writes: claimed by one run, changed only when the result is whole.

A run works in the hidden folder `STATE`. Its complete result is renamed to ``next`` there, and
then moved into place, item by item. If the process is killed during these moves, the next run
finishes them. Files that no run wrote stay where they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..dataset.files import counted, shorten
from ..locks import try_lock

PIPELINE, CONFIG, CORPUS, REPORT, LOG = "pipeline", "config.cfg", "corpus", "report", "log.jsonl"
STATE, LISTING = ".ner-lstm", "files.txt"


class TrainingError(ValueError):
    """An error that prevents a training. The message says why, and what to do."""


@contextmanager
def claim(output: Path, *, resume: bool = False) -> Iterator[Path]:
    """Claim a folder, and yield a folder to work in, on the same file system.

    Moves of an earlier run that was killed are finished. What it left is removed, unless this run
    goes on with it: then an error leaves all as it is, so that the next run can go on.

    :param output: created if it is missing, and removed again if it stays empty.
    :param resume: whether to work in the folder that a killed run left, if there is one.
    :raises TrainingError: if another process has claimed the folder, if it cannot be written, or
        if the result would replace files that no run wrote.
    """
    state = output / STATE
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
    except OSError as error:
        raise TrainingError(
            f"{output}: cannot be written ({error.strerror}); expected a folder with write "
            "permission. Give another one (--output)."
        ) from error
    with lock:
        is_whole = False
        if not try_lock(lock):
            raise TrainingError(
                f"{output}: another training is writing there; wait for its end, or give another "
                "folder (--output)."
            )
        try:
            if (state / "next").exists():
                _move(output)
            _refuse_foreign(output)
            if not resume:
                _clean(state)
            (state / "work").mkdir(exist_ok=True)
            yield state / "work"
            is_whole = True
        finally:
            is_kept = resume and not is_whole
            if not is_kept:
                _clean(state)
            if not is_kept and not _written(output) and not (state / "next").exists():
                # The folder may hold other files, and Windows removes no open file.
                with suppress(OSError):
                    shutil.rmtree(state)
                    output.rmdir()


def replace(output: Path, result: Path) -> None:
    """Replace the result in a claimed folder by a new one, which has items of the same names."""
    (result / LISTING).touch()  # so that it lists itself
    files = [path.relative_to(result).as_posix() for path in result.rglob("*") if path.is_file()]
    (result / LISTING).write_text("".join(f"{file}\n" for file in sorted(files)), "utf-8")
    result.rename(output / STATE / "next")
    _move(output)


def _move(output: Path) -> None:
    new, former = output / STATE / "next", output / STATE / "former"
    former.mkdir(exist_ok=True)
    for item in sorted(new.iterdir()):
        target = output / item.name
        if target.exists():
            os.replace(target, former / item.name)
        os.replace(item, target)
    new.rmdir()
    shutil.rmtree(former)


def _written(output: Path) -> set[str]:
    """Return the files of the result in a folder; the listing may be somebody else's file."""
    listing = output / LISTING
    names = listing.read_text("utf-8", "replace").splitlines() if listing.is_file() else []
    return set(names) if LISTING in names else set()


def _refuse_foreign(output: Path) -> None:
    known = _written(output)
    items = [output / name for name in (PIPELINE, CONFIG, CORPUS, REPORT, LOG, LISTING)]
    files = [f for item in items for f in ([item] if item.is_file() else item.rglob("*"))]
    found = [f.relative_to(output).as_posix() for f in sorted(files) if not f.is_dir()]
    foreign = [name for name in found if name not in known]
    if foreign:
        raise TrainingError(
            f"{output}: holds {counted(len(foreign), 'file')} that no training wrote, in places "
            f"where the result goes: {shorten(foreign)}. Move them, or give another folder "
            "(--output)."
        )


def _clean(state: Path) -> None:
    for name in ("work", "former"):
        shutil.rmtree(state / name, ignore_errors=True)
