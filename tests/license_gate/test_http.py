"""A gate on a console's address: whatever answers there, or does not, the last answers stay and nothing raises."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.console import vendor
from tests.license_gate.published import HERE
from tests.servers import wait_until
from workflow.license_gate import LicenseGate, State


def facts(generation: int, *licenses: bytes, revocations: bytes | None = None) -> bytes:
    """What the console's feed answers."""
    return json.dumps(
        {
            "generation": generation,
            "licenses": [each.decode() for each in licenses],
            "roots": [vendor.root().decode()],
            "revocations": revocations.decode() if revocations else None,
            "seen": None,
        }
    ).encode()


@dataclass
class Console:
    """A server that answers what the test says, and remembers what it was asked."""

    address: str = ""
    status: int = 200
    body: bytes = b""
    tag: str | None = None
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def says(self, body: bytes, status: int = 200, tag: str | None = None) -> None:
        """What it answers from now on."""
        self.status, self.body, self.tag = status, body, tag


@pytest.fixture
def console() -> Iterator[Console]:
    """A server on loopback."""
    told = Console()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            known = self.headers["If-None-Match"]
            told.asked.append((self.path, self.headers["Authorization"], known))
            unchanged = told.tag is not None and known == told.tag
            body = b"" if unchanged else told.body
            self.send_response(304 if unchanged else told.status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "http://127.0.0.1:1/")
            if told.tag is not None:
                self.send_header("ETag", told.tag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


def gate_on(address: str) -> LicenseGate:
    return LicenseGate(address, platform=HERE, token="secret\n", poll_seconds=0.01)


def test_a_gate_follows_the_feed_and_asks_for_what_it_does_not_know(console: Console) -> None:
    console.says(facts(1, vendor.lic(1)), tag='"one"')
    with gate_on(console.address + "/platform/") as gate:
        assert gate.allows("agent-studio")
        wait_until(lambda: len(console.asked) > 2, 30, "another look")
        assert console.asked[0] == ("/platform/console/api/license/feed", "Bearer secret", None)
        assert console.asked[2][2] == '"one"'
        console.says(facts(2, vendor.fewer(2)), tag='"two"')
        wait_until(lambda: gate.allows("api-access"), 30, "the gate to follow")
        console.says(facts(3, vendor.fewer(2), revocations=vendor.lrl(1, 2)), tag='"three"')
        wait_until(lambda: gate.state is State.REVOKED, 30, "the gate to follow")


NONSENSE = {
    "not JSON": b"<html>",
    "a list": b"[]",
    "too little": b"{}",
    "no number": facts(1).replace(b"1,", b'"1",', 1),
    "true": facts(1).replace(b"1,", b"true,", 1),
    "licenses of numbers": b'{"generation": 1, "licenses": [1], "roots": [], "revocations": null, "seen": null}',
    "half of a pair": b'{"generation": 1, "licenses": ["\\ud800"], "roots": [], "revocations": null, "seen": null}',
    "deep": b"[" * 200_000,
    "too large": b" " * (4 * 1024 * 1024 + 1) + facts(9),
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_no_news(console: Console, nonsense: bytes) -> None:
    console.says(facts(1, vendor.lic(1)))
    with gate_on(console.address) as gate:
        assert gate.allows("agent-studio")
        console.says(nonsense)
        wait_until(lambda: gate.problem is not None, 30, "the gate to notice")
        assert gate.allows("agent-studio")
        console.says(facts(2, vendor.fewer(2)))
        wait_until(lambda: gate.allows("api-access"), 30, "the gate to follow again")
        assert gate.problem is None


@pytest.mark.parametrize(("status", "advice"), [(401, "api-token"), (400, "LICDESK_ALLOWED_HOSTS"), (500, "500"), (302, "302")])
def test_refusals_are_said_with_what_to_do_and_redirects_are_not_followed(console: Console, status: int, advice: str) -> None:
    console.says(b"no", status)
    with gate_on(console.address) as gate:
        assert (gate.state, gate.allows("agent-studio")) == (State.NONE, False)
        assert advice in str(gate.problem)


def test_nobody_there_is_no_error() -> None:
    with gate_on("http://127.0.0.1:9") as gate:
        assert gate.state is State.NONE
        assert "cannot be reached" in str(gate.problem)


def test_what_the_feed_says_is_verified(console: Console) -> None:
    console.says(facts(1, vendor.lic(1, key="a stranger")))
    with gate_on(console.address) as gate:
        assert gate.state is State.INVALID


def test_token_and_password_are_not_shown(console: Console) -> None:
    console.says(b"no", 401)
    with gate_on(console.address.replace("//", "//somebody:password@")) as gate:
        assert "secret" not in str(gate.problem)
        assert "password" not in str(gate.problem)
