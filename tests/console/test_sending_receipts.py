"""The outbox against a real HTTP server: sent once taken, retried with patience, in order, never lost."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from sqlmodel import select

from tests.console import vendor
from tests.console.acting import activated
from workflow.console import receipts
from workflow.console.identity import Console
from workflow.console.store import OutgoingReceipt
from workflow.database import reading
from workflow.license_file import verify_receipt
from workflow.times import utc_now, wall_now

SECOND = timedelta(seconds=1)


class Desk(ThreadingHTTPServer):
    """Stands where the desk stands: notes what arrives and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = 202
        self.received: list[tuple[str, str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Desk

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, self.headers["Content-Type"], body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def desk() -> Iterator[Desk]:
    server = Desk()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def send(console: Console, url: str, wall: datetime | None = None) -> int:
    with httpx.Client() as client:
        return receipts.send_waiting(console, url, client, wall or wall_now(), utc_now())


def outbox(console: Console) -> list[OutgoingReceipt]:
    with reading(console.engine) as session:
        return list(session.exec(select(OutgoingReceipt)).all())


def test_a_receipt_that_a_clock_far_ahead_put_off_is_sent_once_the_clock_is_right(console: Console, desk: Desk) -> None:
    activated(console, vendor.lic())
    desk.status = 503
    assert send(console, desk.url, wall_now() + timedelta(days=4_000)) == 0
    desk.status = 202
    assert send(console, desk.url) == 1


def test_a_receipt_is_posted_as_it_was_signed_and_only_once(console: Console, desk: Desk) -> None:
    row = activated(console, vendor.lic())
    assert send(console, desk.url) == 1
    assert send(console, desk.url, wall_now() + timedelta(days=1)) == 0
    ((path, kind, body),) = desk.received
    assert (path, kind) == ("/api/v1/receipts", "application/vnd.serviceme.activation-receipt+json")
    claims = verify_receipt(body).claims
    assert (claims.license_id, claims.version, claims.payload_sha256) == (row.license_id, 1, row.payload_sha256)
    (receipt,) = outbox(console)
    assert receipt.state == "sent"
    assert receipt.sent_at is not None


@pytest.mark.parametrize("status", [500, 404, 200])
def test_any_answer_but_202_leaves_it_waiting_with_the_reason(console: Console, desk: Desk, status: int) -> None:
    activated(console, vendor.lic())
    desk.status = status
    assert send(console, desk.url) == 0
    (receipt,) = outbox(console)
    assert receipt.state == "waiting"
    assert str(status) in (receipt.last_error or "")


def test_an_unreachable_desk_is_tried_again_later_and_later(console: Console, desk: Desk) -> None:
    activated(console, vendor.lic())
    wall = wall_now()
    waits = []
    for _ in range(4):
        send(console, "http://127.0.0.1:9", wall)
        (receipt,) = outbox(console)
        waits.append(receipt.next_at - wall)
        assert send(console, "http://127.0.0.1:9", wall + SECOND) == 0  # not due yet: not even tried
        assert outbox(console)[0].attempts == len(waits)
        wall = receipt.next_at
    assert waits == sorted(waits)
    assert 2 * SECOND <= waits[0] <= 3 * SECOND
    assert waits[3] >= 16 * SECOND
    assert send(console, desk.url, wall) == 1


def test_several_receipts_go_in_the_order_of_the_chain(console: Console, desk: Desk) -> None:
    for version in (1, 2, 3):
        activated(console, vendor.lic(version))
    assert send(console, desk.url) == 3
    assert [verify_receipt(body).claims.version for _, _, body in desk.received] == [1, 2, 3]


def test_a_crash_between_claim_and_answer_sends_it_again(console: Console, desk: Desk) -> None:
    activated(console, vendor.lic())
    wall = wall_now()
    assert receipts._claim_next(console, wall) is not None
    assert send(console, desk.url, wall + SECOND) == 0
    assert send(console, desk.url, wall + 2 * receipts.TIMEOUT) == 1
