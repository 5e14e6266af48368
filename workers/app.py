"""Two Celery apps, general and signing, that share no task, and the relay's, which has none.

Messages carry job ids only; the database is the truth. Every setting is here because something was lost or repeated
without it: see docs/operations.md, "Why these settings".
"""

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging
from kombu import Queue
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES

from workers.heartbeats import GeneralHeartbeats, SigningHeartbeats
from workflow.domain.events import Job
from workflow.logs import write_json
from workflow.settings import PREFIX, LogFormat

log = logging.getLogger("workers")

GENERAL_QUEUE = "general"
LETTERS_QUEUE = "letters"
SIGNING_QUEUE = "signing"
DEFAULT_LEASE = 300

# A broker named redis:// or rediss:// is spoken to through the repaired transport, whatever other place asks kombu for it.
TRANSPORT_ALIASES.update(redis="workers.transport:Transport", rediss="workers.transport:Transport")


def queue_of(kind: str) -> str:
    """The queue that a kind of job is published to. Letters have their own, so that no license waits behind courtesy."""
    if kind == Job.SIGN.value:
        return SIGNING_QUEUE
    return LETTERS_QUEUE if kind in (Job.LETTER.value, Job.DIGEST.value, Job.NOTICE.value) else GENERAL_QUEUE


def _lease() -> int:
    return int(os.environ.get(f"{PREFIX}LEASE_SECONDS", str(DEFAULT_LEASE)))


def _settings(*queues: str) -> dict[str, Any]:
    # A task must end before its job's lease does, or two workers would own it: 240 s under a lease of 300 s.
    hard_limit = max(4, _lease() * 4 // 5)
    return {
        "broker_url": os.environ.get(f"{PREFIX}BROKER_URL", "redis://127.0.0.1:6379/0"),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            # Queues in the order they are named: the worker looks into `letters` only when `general` is empty.
            "queue_order_strategy": "priority",
            "visibility_timeout": 300,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 30,
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        "task_default_queue": queues[0],
        "task_queues": [Queue(queue) for queue in queues],
        "task_create_missing_queues": False,
        "worker_consumer": "workers.consumer:Consumer",
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        "task_time_limit": hard_limit,
        "task_soft_time_limit": max(3, hard_limit * 7 // 8),
        "task_serializer": "json",
        "accept_content": ["json"],
        "timezone": "UTC",
        "enable_utc": True,
    }


def _log_as_json(**_: object) -> None:
    write_json()


if os.environ.get(f"{PREFIX}LOG_FORMAT") == LogFormat.JSON:  # connected at all, it replaces what Celery sets up
    setup_logging.connect(_log_as_json)

general = Celery(
    "general",
    include=[
        *("workers.delivery", "workers.letters", "workers.digests", "workers.notices", "workers.reminders"),
        "workers.housekeeping",
    ],
)
general.conf.update(_settings(GENERAL_QUEUE, LETTERS_QUEUE))
SCAN = "housekeeping.scan"
general.conf.beat_schedule = {
    "scan": {
        "task": SCAN,
        "schedule": float(os.environ.get(f"{PREFIX}SCAN_SECONDS", "60")),
        "options": {"expires": 300},
    }
}

general.steps["consumer"].add(GeneralHeartbeats)


@beat_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _scan_at_once(**_: object) -> None:
    """What came due while the scheduler was away is not left for another minute."""
    try:
        general.send_task(SCAN, expires=300, ignore_result=True, retry=False)
    except OperationalError as error:
        log.warning("the broker is away, the first scan comes with the first tick: %s", error)


signing = Celery("signing", include=["workers.signing"])
signing.conf.update(_settings(SIGNING_QUEUE))
signing.steps["consumer"].add(SigningHeartbeats)

publisher = Celery("relay")
publisher.conf.update(_settings(GENERAL_QUEUE, LETTERS_QUEUE, SIGNING_QUEUE))
