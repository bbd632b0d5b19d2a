"""Checksums of a saved component, so that damage is found when it is loaded.

They are saved beside the files, with the version of the format. Version 1, of ner-lstm-component
0.1.0, has no checksums. They protect from accidents, not from attackers, who can change them as
well: `network.saved` checks what no file may contain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import srsly

#: The version of the format, which the settings and the checksums contain.
FORMAT = 2
#: The name of the file of checksums.
CHECKSUMS = "checksums"

_WAY_OUT = "Copy the pipeline again from where it was saved."


def checksums(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the SHA-256 of each file, by its name, and the version of the format."""
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    return {"format": FORMAT, "sha256": sums}


def write_checksums(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the checksums of a folder's files."""
    srsly.write_json(folder / CHECKSUMS, checksums(files))


def read_checksums(folder: Path) -> Any:
    """Read the checksums of a folder, or return None if there are none.

    :raises ValueError: if they cannot be read.
    """
    path = folder / CHECKSUMS
    try:
        return srsly.read_json(path) if path.exists() else None
    except ValueError as error:
        raise ValueError(f"The file {CHECKSUMS!r} is damaged: {error}. {_WAY_OUT}") from error


def check(files: Mapping[str, bytes], saved: Any, version: Any) -> None:
    """Check that files are those that were saved.

    :param saved: the result of :func:`checksums` that was saved with them, or None.
    :param version: the version of the format in the settings, or None.
    :raises ValueError: if a file has changed, or a newer version of the package has saved them.
    """
    if saved is not None and not (
        isinstance(saved, dict) and isinstance(saved.get("sha256"), dict)
    ):
        raise ValueError(f"The file {CHECKSUMS!r} is damaged: {saved!r:.80}. {_WAY_OUT}")
    if saved is None and version is None:
        return
    versions = [version, saved and saved.get("format")]
    for one in versions:
        if isinstance(one, int) and one > FORMAT:
            raise ValueError(
                f"The component was saved in format {one}, by a newer version of "
                f"ner-lstm-component; this one reads formats 1 to {FORMAT}. Install the version "
                "that the pipeline's meta.json requires."
            )
    if saved is None:
        raise ValueError(f"The file {CHECKSUMS!r} is missing. {_WAY_OUT}")
    found = checksums(files)["sha256"]
    if changed := [name for name in found if found[name] != saved["sha256"].get(name)]:
        raise ValueError(
            f"{', '.join(map(repr, changed))} changed after it was saved, by its SHA-256 in "
            f"{CHECKSUMS!r}. {_WAY_OUT}"
        )
    if versions != [FORMAT, FORMAT]:
        raise ValueError(
            f"'cfg' and {CHECKSUMS!r} are of the formats {versions}; expected {FORMAT}. {_WAY_OUT}"
        )
