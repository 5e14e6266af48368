"""Numbers for a monitoring system, in Prometheus' text format. Each costs what is open, not what exists."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from starlette.responses import Response

from workflow.database import reading
from workflow.db.queries import housekeeping, overview, queues, revocations, troubles
from workflow.db.queries.queues import Queue
from workflow.domain.processes import ProcessKind, SignOfLife, missing_kinds
from workflow.times import wall_now
from workflow.web.desk.api.caller import Inside, OperationsReader

router = APIRouter(tags=["about"])
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Sample:
    """One number under its labels."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Gauge:
    """Numbers of one name. Everything here can rise and fall."""

    name: str
    help: str
    samples: Sequence[Sample]

    def lines(self) -> Iterator[str]:
        """As the text format writes them."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        for each in self.samples:
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in each.labels.items())
            yield f"{self.name}{{{labels}}} {float(each.value)!r}" if labels else f"{self.name} {float(each.value)!r}"


@router.get(
    "/metrics",
    summary="Numbers for monitoring",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format, version 0.0.4."}},
)
def metrics(house: Inside, who: OperationsReader) -> Response:
    """Queues and their lag, processes, mail in trouble, what ends; for a token of an operator or auditor."""
    wall = wall_now()
    with reading(house.engine) as session:
        owed = queues.all_queues(session)
        beats = housekeeping.heartbeats(session)
        ends = housekeeping.endings_of(beats)
        newest = revocations.newest_list(session)
        if newest is not None:
            ends["Revocation list"] = newest.next_update
        gauges = [
            *_of_queues(owed, wall),
            *_of_processes([SignOfLife(each.process, each.at) for each in beats], wall),
            _one(
                "licdesk_mail_in_doubt",
                "Messages of which nobody knows whether they arrived.",
                sum(1 for each in troubles.troubled_mail(session, wall, limit=1000) if each.state == "in_doubt"),
            ),
            _one(
                "licdesk_installations_unconfirmed",
                "Platforms whose receipts do not count until an operator confirms their key.",
                overview.count_unconfirmed(session),
            ),
            Gauge(
                "licdesk_ends_timestamp_seconds",
                "When something that the desk depends on ends.",
                [Sample({"what": what}, at.timestamp()) for what, at in sorted(ends.items())],
            ),
        ]
    text = "".join(f"{line}\n" for gauge in gauges for line in gauge.lines())
    return Response(text, headers={"Content-Type": MEDIA_TYPE})


def _of_queues(owed: Sequence[Queue], wall: datetime) -> Iterator[Gauge]:
    yield Gauge(
        "licdesk_jobs",
        "Jobs by kind and state.",
        [
            Sample({"kind": each.kind, "state": state}, count)
            for each in owed
            for state, count in (
                ("waiting", each.waiting),
                ("again", each.again),
                ("running", each.running),
                ("dead", each.dead),
            )
        ],
    )
    yield Gauge(
        "licdesk_oldest_job_seconds",
        "How long the oldest job of a kind has waited for a worker.",
        [Sample({"kind": each.kind}, each.lag(wall).total_seconds()) for each in owed],
    )


def _of_processes(heard: Sequence[SignOfLife], wall: datetime) -> Iterator[Gauge]:
    missing = missing_kinds(heard, wall)
    yield Gauge(
        "licdesk_process_alive",
        "Whether at least one process of a kind lives.",
        [Sample({"kind": kind.value}, float(kind not in missing)) for kind in ProcessKind],
    )
    yield Gauge(
        "licdesk_process_silent_seconds",
        "How long ago a process was last heard of.",
        [Sample({"process": each.process}, (wall - each.at).total_seconds()) for each in heard],
    )


def _one(name: str, text: str, value: float) -> Gauge:
    return Gauge(name, text, [Sample({}, value)])


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
