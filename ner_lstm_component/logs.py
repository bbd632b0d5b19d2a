"""The logging of the service, training, evaluation and conversion.

Records are lines of JSON, on stderr and optionally in a rotating file. Figures are passed as
``extra=fields(…)``. Users' texts are logged only at the level DEBUG.
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
from logging.handlers import RotatingFileHandler, WatchedFileHandler
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # on Windows, where the service has one process
    fcntl = None  # type: ignore[assignment]

FILE_VARIABLE, LEVEL_VARIABLE = "NER_LSTM_LOG_FILE", "NER_LSTM_LOG_LEVEL"
LEVELS = ("debug", "info", "warning", "error")

request_id: ContextVar[str] = ContextVar("request_id", default="")


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """Wrap the figures for a record, to be passed as its ``extra``."""
    return {"fields": values}


# Line separators, and halves of surrogate pairs, which cannot be encoded.
_ESCAPED = {n: f"\\u{n:04x}" for n in (0x85, 0x2028, 0x2029, *range(0xD800, 0xE000))}


class JSONFormatter(logging.Formatter):
    """A formatter that writes a record, with :func:`fields` and request id, as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
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


class SharedRotatingFileHandler(RotatingFileHandler, WatchedFileHandler):
    """A handler for a rotating file shared by processes; it locks writes and reopens the file."""

    def __init__(self, filename: str | Path, **kwargs: Any) -> None:
        path = Path(filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock")
        self._lock_file: int | None = os.open(lock, os.O_CREAT | os.O_RDWR)
        # WatchedFileHandler.reopenIfNeeded() compares these; no file is open yet.
        self.dev, self.ino = -1, -1
        super().__init__(path, encoding="utf-8", **kwargs)

    def emit(self, record: logging.LogRecord) -> None:
        if fcntl is None or self._lock_file is None:
            return super().emit(record)
        # Not flock(), whose lock forked workers would share with their parent.
        fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
        try:
            self.reopenIfNeeded()
            super().emit(record)
        finally:
            fcntl.lockf(self._lock_file, fcntl.LOCK_UN)

    def close(self) -> None:
        super().close()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None


# The handlers of the last configuration.
_handlers: list[logging.Handler] = []


def configure(
    *, file: str | Path | None = None, level: str | None = None, stderr: bool = True
) -> None:
    """Set up logging for this process.

    :param file: the log file. The default is the variable ``NER_LSTM_LOG_FILE``, if set.
    :param level: one of `LEVELS`. The default is ``NER_LSTM_LOG_LEVEL``, or ``info`` if not set.
    :param stderr: whether to log to stderr too.
    :raises ValueError: if the level is not one of `LEVELS`.
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
        handlers.append(SharedRotatingFileHandler(file, maxBytes=10_000_000, backupCount=5))
    if stderr:
        handlers.append(logging.StreamHandler())
    # Not with logging.config, which closes all handlers: TensorFlow's handler would close stderr.
    root = logging.getLogger()
    for handler in _handlers:
        root.removeHandler(handler)
        handler.close()
    # Without any handler, Python writes warnings to stderr.
    _handlers[:] = handlers or [logging.NullHandler()]
    for handler in _handlers:
        handler.setFormatter(JSONFormatter())
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in ("ner_lstm_component", "gunicorn.error"):
        logging.getLogger(name).setLevel(level.upper())


@contextmanager
def recorded(program: str, **settings: Any) -> Iterator[logging.Logger]:
    """Log a program's start with its settings, and its end or its error; yield the logger."""
    logger = logging.getLogger(f"{__package__}.{program}")
    logger.info("Start", extra=fields(**settings))
    start = time.perf_counter()
    try:
        yield logger
    except BaseException as error:
        logger.exception("Failed: %s", type(error).__name__)
        raise
    logger.info("End", extra=fields(seconds=round(time.perf_counter() - start, 3)))
