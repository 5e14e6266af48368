"""How a worker takes messages: one that is none of ours is dropped. Celery lets it end the worker, gives it back, and the next
worker ends as well: whoever can write to the broker, by mistake or not, could keep all of them from working.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery.worker import consumer

log = logging.getLogger("workers.consumer")


def _require_plain(headers: Any) -> None:
    """Raises ValueError for what no message of ours has in its headers. Celery finds a time limit that is none only when it has
    given one of the pool's places away, which then stays empty."""
    if not isinstance(headers, dict):
        raise ValueError("headers that are none")
    limits = headers.get("timelimit")
    if limits is not None and not (isinstance(limits, list) and len(limits) == 2 and all(map(_is_number_or_none, limits))):
        raise ValueError("time limits that are none")
    if headers.get("eta") or not _is_number_or_none(headers.get("retries")):
        raise ValueError("a time to begin, or retries that cannot be counted")


def _is_number_or_none(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


class Consumer(consumer.Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's, which goes on whatever a message holds."""

    def create_task_handler(self, *given: Any, **named: Any) -> Callable[[Any], None]:
        """What is called with each message."""
        handle = super().create_task_handler(*given, **named)

        def take(message: Any) -> None:
            try:
                _require_plain(message.headers)
                handle(message)
            except self.connection_errors:
                raise
            except Exception:  # the edge of the process: what Celery cannot read must not end the worker
                log.exception("a message that is none of ours was dropped")
                if not message.acknowledged:
                    message.reject_log_error(log, self.connection_errors)

        return take
