"""Celery's settings, each with what was lost, repeated or stopped without it. Where a test shows the effect it is named; the
others were measured once."""

import os
import subprocess
import sys

import pytest

from tests.servers import ValkeyServer
from workers.app import general, publisher, queue_of, signing
from workers.transport import Transport
from workflow.domain.events import Job

APPS = {"general": general, "signing": signing, "relay": publisher}
NEEDED = {
    "result_backend": None,  # nobody reads results; one per job fills the broker
    "task_ignore_result": True,
    "task_acks_late": True,  # tests/crashes: a message taken by a worker that is killed comes back before the relay's minute
    "task_reject_on_worker_lost": False,  # else a task that kills its child ran 25 times in 11 s
    "task_create_missing_queues": False,
    "worker_prefetch_multiplier": 1,  # or a worker holds what others could do
    "worker_consumer": "workers.consumer:Consumer",  # tests/workers/test_bad_messages.py
    "worker_cancel_long_running_tasks_on_connection_loss": False,  # tests/crashes: a busy worker while the broker restarts
    "worker_enable_remote_control": False,  # whoever writes to the broker could stop the workers
    "broker_connection_max_retries": None,  # tests/crashes: else a worker gives a broker up that is away for long
    "broker_connection_retry_on_startup": True,
    "accept_content": ["json"],  # tests/workers/test_bad_messages.py: pickle runs code
    "task_serializer": "json",
}
OF_THE_TRANSPORT = {
    "queue_order_strategy": "priority",
    "visibility_timeout": 300,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 30,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
}


@pytest.mark.parametrize("name", sorted(APPS))
def test_no_setting_that_matters_is_missing(name: str) -> None:
    conf = APPS[name].conf
    assert {setting: getattr(conf, setting) for setting in NEEDED} == NEEDED
    assert dict(conf.broker_transport_options) == OF_THE_TRANSPORT
    assert {each.name for each in conf.task_queues} >= {conf.task_default_queue}


def test_a_task_ends_before_its_jobs_lease_does() -> None:
    for seconds in ("300", "5"):
        code = "from workers.app import general as g; print(g.conf.task_soft_time_limit, g.conf.task_time_limit)"
        environ = {**os.environ, "LICDESK_LEASE_SECONDS": seconds}
        told = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True, timeout=60)
        soft, hard = map(int, told.stdout.split())
        assert soft < hard < int(seconds)


def test_the_repaired_transport_is_for_redis_only() -> None:
    for scheme in ("redis", "rediss"):
        assert publisher.connection_for_write(f"{scheme}://127.0.0.1:1/0").transport_cls == scheme
        assert isinstance(publisher.connection_for_write(f"{scheme}://127.0.0.1:1/0").transport, Transport)
    assert not isinstance(publisher.connection_for_write("memory://").transport, Transport)


def test_every_kind_of_job_has_a_queue_that_a_worker_listens_to() -> None:
    listened = {each.name for app in (general, signing) for each in app.conf.task_queues}
    assert {queue_of(kind) for kind in Job} == listened == {each.name for each in publisher.conf.task_queues}


def test_a_message_that_a_killed_worker_had_taken_comes_back_when_its_time_is_over(valkey: ValkeyServer) -> None:
    """The transport's own defaults look for such messages about every hundred seconds, whatever `visibility_timeout` says."""
    publisher.conf.broker_url = valkey.url
    # Keys of its own: the server is shared, and another test's worker may have left a message that it had taken.
    keys = {"unacked_key": "restored:unacked", "unacked_index_key": "restored:unacked:index"}
    options = {**publisher.conf.broker_transport_options, **keys, "visibility_timeout": 0}
    with publisher.connection_for_write(valkey.url, transport_options=options) as connection:
        queue = connection.SimpleQueue("restored")
        queue.put({"job": 1})
        taken = queue.get(timeout=5)
        assert taken.payload == {"job": 1}
        channel = queue.channel
        assert channel.client.hlen(channel.unacked_key) == 1
        channel.qos.restore_visible(interval=channel.unacked_restore_throttle)
        assert channel.client.hlen(channel.unacked_key) == 0
        assert channel.client.llen("restored") == 1
        channel.qos._delivered.clear()
        channel.client.delete("restored")
