"""A data file that exceeds the memory, split into folders of ``.spacy`` files."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .docs import Counts, Sentence, count, to_docbin
from .files import AUTO, DatasetError
from .reader import DOCBIN, stream_csv
from .splits import DEFAULT_SEED, PARTS

SENTENCES = 20_000
_NOTHING = Counts(0, 0, 0, {})


def write_shards(
    path: Path,
    output: Path,
    *,
    seed: int = DEFAULT_SEED,
    encoding: str = AUTO,
    repair: bool = False,
    sentences: int = SENTENCES,
) -> dict[str, Counts]:
    """Split a file of any size into the folders ``train``, ``dev`` and ``test``.

    A tenth of the distinct texts is in dev, and a tenth in test; sentences with the same words are
    in the same part. spaCy's ``Corpus`` reads a folder file by file, and with ``max_epochs = -1``
    it streams it.

    :param path: what `reader.stream_csv` reads.
    :param output: a new folder, or an empty one. It appears when it is complete.
    :param seed: the seed of the split.
    :param sentences: the number of sentences in a file.
    :return: the size of each part.
    :raises DatasetError: if the file cannot be read, or the folder not be written.
    """
    if path.is_dir() or path.suffix == DOCBIN:
        raise DatasetError(
            f"{path}: found a {'folder' if path.is_dir() else 'DocBin'}; expected a table or a "
            "CoNLL file. Leave --stream out."
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DatasetError(
            f"{output}: exists; expected a new folder, or an empty one, for --stream. Remove it, "
            "or give another."
        )
    read = stream_csv(path, encoding=encoding, repair_tags=repair)
    counts = dict.fromkeys(PARTS, _NOTHING)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
        try:
            waiting: dict[str, list[Sentence]] = {part: [] for part in PARTS}
            numbers = dict.fromkeys(PARTS, 0)

            def write(part: str) -> None:
                counts[part] += count(waiting[part])
                file = scratch / part / f"{numbers[part]:06}{DOCBIN}"
                to_docbin(waiting[part]).to_disk(file)
                numbers[part] += 1
                waiting[part] = []

            for part in PARTS:
                (scratch / part).mkdir()
            for sentence in read:
                part = _part_of(sentence.words, seed)
                waiting[part].append(sentence)
                if len(waiting[part]) == sentences:
                    write(part)
            for part in PARTS:
                if waiting[part]:
                    write(part)
            _refuse_empty(path, counts)
            if output.exists():
                output.rmdir()
            scratch.chmod(0o755)  # temporary folders are private
            scratch.rename(output)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise DatasetError(
            f"{output}: cannot be written ({error}); expected a folder with write permission and "
            "enough room."
        ) from error
    return counts


def _part_of(words: Iterable[str], seed: int) -> str:
    """Draw a text's part from its words, so that equal texts are in the same part."""
    text = "\0".join([str(seed), *words]).encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") % 10
    return {0: "dev", 1: "test"}.get(number, "train")


def _refuse_empty(path: Path, counts: dict[str, Counts]) -> None:
    empty = [part for part in PARTS if not counts[part].sentences]
    if empty:
        raise DatasetError(
            f"{path}: too few sentences to split: none is in {' and '.join(empty)}. Leave --stream "
            "out, which is for files that exceed the memory."
        )
