"""The broker, asked over a plain socket: this command loads neither Celery nor a Redis library."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

from workflow.cli.checkup.findings import Environ, Finding, fail, ok, skip, warn
from workflow.settings import BeatSettings, load, variable

CHECK = "broker"
SECONDS = 5.0


class Refused(Exception):
    """The broker answered a command with an error."""


def look(environ: Environ) -> Iterator[Finding]:
    """Whether it answers, and keeps what it is given."""
    if variable("broker_url") not in environ:
        yield skip(CHECK, "LICDESK_BROKER_URL is not set here.")
        return
    url = urlsplit(load(BeatSettings, environ).broker_url)
    if url.scheme not in ("redis", "rediss"):
        yield skip(CHECK, f"A broker of the kind {url.scheme} cannot be asked by this command.")
        return
    where = f"{url.hostname}:{url.port or 6379}"
    try:
        with _Asked(url.hostname or "127.0.0.1", url.port or 6379, tls=url.scheme == "rediss") as broker:
            if url.password:
                broker.ask(*(["AUTH", unquote(url.username)] if url.username else ["AUTH"]), unquote(url.password))
            broker.ask("PING")
            yield ok(CHECK, f"{where} answers.")
            yield from _keeps(broker)
    except Refused as refused:
        yield fail(CHECK, f"{where} refuses: {refused}.", "Check user and password in LICDESK_BROKER_URL.")
    except (OSError, ValueError) as error:
        yield fail(CHECK, f"{where} does not answer: {error}.", "Start it, or correct LICDESK_BROKER_URL. Nothing is lost.")


def _keeps(broker: "_Asked") -> Iterator[Finding]:
    try:
        policy = broker.ask("CONFIG", "GET", "maxmemory-policy").split()[-1]
        persistence = broker.ask("INFO", "persistence")
    except Refused as refused:
        yield warn(CHECK, f"It does not say how it keeps messages: {refused}.", "Look into its configuration by hand.")
        return
    if policy != "noeviction":
        yield fail(CHECK, f"A full broker drops messages (maxmemory-policy {policy}).", "Set maxmemory-policy noeviction.")
    if "aof_enabled:1" not in persistence.split():
        yield warn(CHECK, "It forgets its messages when it restarts.", "Set appendonly yes. Jobs come back after a minute.")
    if policy == "noeviction" and "aof_enabled:1" in persistence.split():
        yield ok(CHECK, "It keeps its messages (noeviction, append-only file).")


class _Asked:
    """One connection, one question at a time (RESP 2)."""

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        self._socket = socket.create_connection((host, port), SECONDS)
        if tls:
            self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=host)
        self._answers = self._socket.makefile("rb")

    def __enter__(self) -> "_Asked":
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._socket.close()

    def ask(self, *words: str) -> str:
        """The answer as text; the parts of a list are separated by blanks. Raises Refused, OSError."""
        parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        self._socket.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        return " ".join(self._read())

    def _read(self) -> Sequence[str]:
        line = self._answers.readline(65_536).decode(errors="replace").rstrip("\r\n")
        match line[:1]:
            case "-":
                raise Refused(line[1:])
            case "+" | ":":
                return [line[1:]]
            case "$":
                return [self._answers.read(int(line[1:]) + 2).decode(errors="replace").strip()]
            case "*":
                return [word for _ in range(int(line[1:])) for word in self._read()]
            case _:
                raise OSError("it does not speak the Redis protocol")
