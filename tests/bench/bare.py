"""The yardstick: a bare Celery app whose chain of three tasks does nothing but count, on the same broker."""

import os
import time

import redis
from celery import Celery

BROKER = os.environ.get("LICDESK_BROKER_URL", "redis://127.0.0.1:6379/0")

app = Celery("bare", broker=BROKER)
app.conf.update(
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    task_default_queue="bare",
)
_counter: list[redis.Redis] = []


def counter() -> redis.Redis:
    """This process's connection for counting finished chains."""
    if not _counter:
        _counter.append(redis.Redis.from_url(BROKER))
    return _counter[0]


@app.task(name="bare.one")  # type: ignore[untyped-decorator]  # Celery has no types
def one() -> None:
    """Nothing."""


@app.task(name="bare.two")  # type: ignore[untyped-decorator]  # Celery has no types
def two() -> None:
    """Nothing."""


@app.task(name="bare.three")  # type: ignore[untyped-decorator]  # Celery has no types
def three() -> None:
    """Nothing but the count that the bench waits for."""
    counter().incr("bare:done")


@app.task(name="bare.stamp")  # type: ignore[untyped-decorator]  # Celery has no types
def stamp() -> None:
    """Says when it ran."""
    counter().rpush("bare:stamps", time.time())
