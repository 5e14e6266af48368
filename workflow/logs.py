"""Logs as JSON, one object a line, with the ids of what is being worked on. Only for `LICDESK_LOG_FORMAT=json`; text is left as
each program writes it."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType

_about: ContextVar[Mapping[str, str]] = ContextVar("_about", default=MappingProxyType({}))
FACTS = "facts"
"""The key of `extra` under which a call hands over more members for its line."""


@contextmanager
def concerning(**ids: str) -> Iterator[None]:
    """Whatever is logged inside names these ids, beside those of the blocks around it."""
    before = _about.set({**_about.get(), **ids})
    try:
        yield
    finally:
        _about.reset(before)


class JsonLines(logging.Formatter):
    """One record as one line. What a message quotes cannot begin a line of its own: JSON escapes line ends."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_about.get(),
            **getattr(record, FACTS, {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def write_json() -> None:
    """Every logger of this process writes JSON to standard error from now on, also those that had a handler of their own."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.INFO)
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True


def begin(*, as_json: bool) -> None:
    """How a process of ours that is no server and no Celery worker logs."""
    if as_json:
        write_json()
    else:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
