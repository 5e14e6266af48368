"""The answers of one instant, worked out once: sets and numbers that a request looks up in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from ..license_file import LicenseClaims, Limit
from .holding import Held
from .rights import EXPIRING, NOTHING, Rights, State, rights_in, state_at


@dataclass(frozen=True, slots=True)
class Answers:
    """What may be done now. `modules`, `models` may be used; `readable` modules may at least be looked at.

    `until` is when the next of these answers changes by itself (None: never); `claims` is the license behind them, None
    when there is none that can be trusted or none has begun.
    """

    state: State = State.NONE
    generation: int = 0
    rights: Rights = NOTHING
    modules: frozenset[str] = frozenset()
    readable: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    limits: Mapping[str, Limit] = field(default_factory=lambda: MappingProxyType({}))
    claims: LicenseClaims | None = None
    until: datetime | None = None
    problem: str | None = None

    @staticmethod
    def at(held: Held, now: datetime) -> "Answers":
        """By the newest license that has begun; else what waits; else what is wrong.

        `held.seen` counts for ends only: it is not signed, and must not let a license begin early.
        """
        begun = [claims for claims in held.claims if claims.valid_from <= now]
        begins = min((claims.valid_from for claims in held.claims if now < claims.valid_from), default=None)
        if not begun:
            waits = State.SCHEDULED if begins is not None else State.NONE
            state = next(iter(held.refused), waits)
            return Answers(state, held.generation, until=begins, problem=held.problem)
        claims = max(begun, key=lambda each: each.version)
        late = now if held.seen is None else max(now, held.seen)
        state = state_at(claims, late)
        rights = rights_in(state, claims.on_expiry)
        licensed = frozenset(each.code for each in claims.modules if each.until is None or late < each.until)
        return Answers(
            state=state,
            generation=held.generation,
            rights=rights,
            modules=licensed if rights.use else frozenset(),
            readable=licensed if rights.read else frozenset(),
            models=frozenset(claims.model_types) if rights.use else frozenset(),
            limits=MappingProxyType(dict(claims.limits)),
            claims=claims,
            until=_earliest(begins, *(each for each in _changes(claims) if late < each)),
            problem=held.problem,
        )


def _changes(claims: LicenseClaims) -> tuple[datetime, ...]:
    lasts = claims.valid_until - claims.valid_from  # what lasts shorter is expiring from its beginning
    ends = (claims.valid_until - min(EXPIRING, lasts), claims.valid_until, claims.grace_until)
    return ends + tuple(each.until for each in claims.modules if each.until is not None)


def _earliest(*instants: datetime | None) -> datetime | None:
    return min((each for each in instants if each is not None), default=None)
