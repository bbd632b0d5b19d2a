"""One configuration of logging for all: the service, training, evaluation and conversion.

Records are JSON, one a line, to stderr and by option to a rotating file. Modules log to
``logging.getLogger(__name__)`` and give figures as ``extra=fields(…)``.
The user's texts are never logged above the level DEBUG.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # not on Windows, where one process serves
    fcntl = None  # type: ignore[assignment]

FILE_VARIABLE = "NER_LSTM_LOG_FILE"
LEVEL_VARIABLE = "NER_LSTM_LOG_LEVEL"
LEVELS = ("debug", "info", "warning", "error")
MAX_BYTES = 10_000_000
BACKUPS = 5

request_id: ContextVar[str] = ContextVar("request_id", default="")


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """Figures of a record, for its ``extra``."""
    return {"fields": values}


class JSONFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, process, message, request id, and what :func:`fields` gave."""
        time = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str).translate(_ESCAPED)


# What would end a line, and halves of surrogate pairs, which cannot be written.
_ESCAPED = {n: f"\\u{n:04x}" for n in (0x85, 0x2028, 0x2029, *range(0xD800, 0xE000))}


class SharedRotatingFileHandler(RotatingFileHandler):
    """A rotating file that several processes write to.

    Each write is under a lock between processes, and goes to the file that has the name:
    another process may have rotated it.
    """

    def __init__(self, filename: str | Path, **kwargs: Any) -> None:
        path = Path(filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file: int | None = os.open(
            path.with_name(f".{path.name}.lock"), os.O_CREAT | os.O_RDWR
        )
        super().__init__(path, encoding="utf-8", **kwargs)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if fcntl is None or self._lock_file is None:
            super().emit(record)
            return
        # Of the process, not of the open file, which forked workers share.
        fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
        try:
            self._follow()
            super().emit(record)
        finally:
            fcntl.lockf(self._lock_file, fcntl.LOCK_UN)

    def _follow(self) -> None:
        if self.stream is None:
            return
        try:
            there, own = os.stat(self.baseFilename), os.fstat(self.stream.fileno())
            is_current = os.path.samestat(there, own)
        except FileNotFoundError:
            is_current = False
        if not is_current:
            self.stream.close()
            self.stream = self._open()

    def close(self) -> None:
        """Close the files."""
        super().close()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None


def configure(
    *, file: str | Path | None = None, level: str | None = None, stderr: bool = True
) -> None:
    """Set up logging for this process.

    :param file: where records also go, such as ``logs/app.log``; the folder is created. By
        default what the environment variable ``NER_LSTM_LOG_FILE`` names, if anything.
    :param level: ``debug``, ``info``, ``warning`` or ``error``. By default what
        ``NER_LSTM_LOG_LEVEL`` says, else ``info``.
    :param stderr: whether records go to stderr.
    :raises ValueError: for another level.
    :raises OSError: if the file cannot be written.
    """
    file = file or os.environ.get(FILE_VARIABLE)
    level = (level or os.environ.get(LEVEL_VARIABLE) or "info").lower()
    if level not in LEVELS:
        raise ValueError(
            f"The level of logging must be one of {', '.join(LEVELS)}. Received: {level!r}"
        )
    handlers: list[logging.Handler] = []
    if file:
        handlers.append(SharedRotatingFileHandler(file, maxBytes=MAX_BYTES, backupCount=BACKUPS))
    if stderr:
        handlers.append(logging.StreamHandler())
    # Not by logging.config, which closes all handlers there are: absl's, TensorFlow's, closes
    # with itself what was stderr when TensorFlow was imported.
    root = logging.getLogger()
    for handler in _handlers:
        root.removeHandler(handler)
        handler.close()
    # Without any, Python writes warnings to stderr.
    _handlers[:] = handlers or [logging.NullHandler()]
    for handler in _handlers:
        handler.setFormatter(JSONFormatter())
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in ("ner_lstm_component", "gunicorn.error"):
        logging.getLogger(name).setLevel(level.upper())


# Those of the last configuration.
_handlers: list[logging.Handler] = []


@contextmanager
def recorded(program: str, **settings: Any) -> Iterator[logging.Logger]:
    """Record a program's start with its settings, and its end or its error.

    :param program: its name.
    :return: the logger for what is to be told in between.
    """
    logger = logging.getLogger(f"{__package__}.{program}")
    logger.info("Start", extra=fields(**settings))
    start = time.perf_counter()
    try:
        yield logger
    except BaseException as error:
        logger.exception("Failed: %s", type(error).__name__)
        raise
    logger.info("End", extra=fields(seconds=round(time.perf_counter() - start, 3)))
