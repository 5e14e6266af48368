"""Kombu's Redis transport with three repairs; `workers.app` puts it in the place of kombu's own. Two are for a server that
goes away under load, after which a worker of kombu 5.7.0 ends or, worse, lives and takes nothing.

- A connection without a client is asked for its host name, and the worker exits with `'NoneType' object has no attribute
  'hostname'`. A lost connection is what it is, so it is reported as one and the worker connects again.
- An acknowledgement that the server did not hear is logged, and the message goes on to count as one in hand. When all that a
  worker may have in hand are such, it never asks for another one, and since it asks for nothing it never notices that its
  connection is gone. The server gives the message out again in time, to be let go; for the worker it is over.
- What somebody put into a queue and is no message ends the worker. It is gone from the queue, and the next one is read.
"""

import logging
from queue import Empty
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

log = logging.getLogger("workers.transport")


class QoS(kombu_redis.QoS):  # type: ignore[misc]  # kombu has no types
    """What a worker has in hand."""

    def ack(self, delivery_tag: str) -> None:
        """The message is done with, whether or not the server hears of it. Raises what the connection raised."""
        try:
            super().ack(delivery_tag)
        except (RedisError, OSError):
            virtual.QoS.ack(self, delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """The same for a message that is given back."""
        try:
            super().reject(delivery_tag, requeue)
        except (RedisError, OSError):
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel whose lost connection is a connection error."""

    QoS = QoS

    def _connparams(self, asynchronous: bool = False) -> Any:
        if getattr(self.connection, "client", None) is None:
            raise RedisConnectionError("the connection to the broker is gone")
        return super()._connparams(asynchronous)

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (ValueError, TypeError, LookupError, AttributeError):
            log.exception("what a queue held is no message; dropped")
            raise Empty from None


class Transport(kombu_redis.Transport):  # type: ignore[misc]  # kombu has no types
    """The Redis transport with the repaired channel."""

    Channel = Channel
