"""The signing worker: the only process that opens license issuer keys. It trusts no status and verifies its own output."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from workers.app import signing
from workers.claims import Claimant, perform_together
from workers.runtime import owner_name
from workflow.database import create_engine, transaction
from workflow.db import jobs
from workflow.db.jobs import ClaimedJob
from workflow.db.queries import applications
from workflow.db.queries import revocations as queries
from workflow.db.tables import Application
from workflow.domain.application import IllegalMove
from workflow.domain.events import Job
from workflow.domain.roles import system
from workflow.errors import Conflict, Misconfigured
from workflow.license_file import (
    MAX_ENVELOPE,
    LicenseRefused,
    Signer,
    TrustChain,
    TrustError,
    TrustRoot,
    UntrustedRevocations,
    encode_claims,
    sign_license,
    verify_license,
    verify_revocations,
)
from workflow.services import issuing
from workflow.services.desk import Desk, desk_from
from workflow.services.evidence import evidence_of
from workflow.services.issuing import Signed
from workflow.settings import Mode, SigningSettings, load
from workflow.signing_keys import open_signer
from workflow.times import utc_now, wall_now

ROOM_FOR_LICENSE = 16_384
"""Bytes of a file that stay free for the license itself and for the indentation of what is inside."""
log = logging.getLogger("licdesk.signing")
SIGNER = system("signing worker")


class KeyMissing(Misconfigured):
    """No issuer key is set for an environment."""

    code = "signing.key_missing"


class KeyNotAllowed(Misconfigured):
    """The issuer key that is set may not sign: the trust root has retired it, or never listed it for the environment."""

    code = "signing.key_not_allowed"


class TrustMissing(Misconfigured):
    """The trust root and its pin are not where the settings say."""

    code = "signing.trust_missing"


class SigningRoom:
    """What the signing process holds: the keys, the database, its own policy, and where the public trust roots are."""

    def __init__(self, settings: SigningSettings) -> None:
        self.settings = settings
        self.engine: Engine = create_engine(settings.database_url, pool_size=2, ping=False)
        self.desk: Desk = desk_from(settings)
        self._chain: tuple[list[tuple[str, int]], TrustChain] | None = None
        self.chain()  # a trust root that cannot be used stops the start
        lease = timedelta(seconds=settings.lease_seconds)
        self.claimant = Claimant(self.engine, owner_name("signing"), lease, settings.max_attempts)
        self._uris = dict(entry.strip().split("=", 1) for entry in settings.issuer_keys.split(",") if entry.strip())
        self._signers: dict[str, Signer] = {}

    def chain(self) -> TrustChain:
        """The trust roots as they are now, verified from the pinned one: a key that was retired signs nothing from that moment
        on. Raises TrustMissing, TrustError."""
        directory = self.settings.trust_dir
        try:
            stamp = sorted((path.name, path.stat().st_mtime_ns) for path in directory.iterdir())
            if self._chain is None or self._chain[0] != stamp:
                self._chain = stamp, TrustChain.read(directory, (directory / "pin.txt").read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError) as error:
            raise TrustMissing(f"The trust root in {directory} cannot be read: {error}. See: licdesk trust show") from error
        return self._chain[1]

    def signer(self, environment: str, trust: TrustRoot) -> Signer:
        """The issuer key of an environment, opened once. Raises KeyMissing, KeyRefused, or KeyNotAllowed by `trust`."""
        if environment not in self._signers:
            uri = self._uris.get(environment)
            if uri is None or self.settings.issuer_key_secret is None:
                raise KeyMissing(f"Name the issuer key of {environment} in LICDESK_ISSUER_KEYS, and the secret that opens it.")
            secret = self.settings.issuer_key_secret.get_secret_value().encode()
            plain_allowed = environment == "DEV" and self.settings.mode is Mode.DEMO
            self._signers[environment] = open_signer(uri, secret, plain_allowed=plain_allowed)
        signer = self._signers[environment]
        if not trust.may_sign(signer.keyid, environment):
            raise KeyNotAllowed(
                f"The key {signer.keyid[:16]} may not sign for {environment} under trust root version {trust.version}. "
                "Name another key in LICDESK_ISSUER_KEYS and restart the signing worker."
            )
        return signer


@cache
def room() -> SigningRoom:
    """This process's signing room; the settings come from the environment."""
    return SigningRoom(load(SigningSettings))


@signing.task(name="license.sign")  # type: ignore[untyped-decorator]  # Celery has no types
def sign_license_jobs(*job_ids: str) -> None:
    """Signs what was approved under the jobs' applications, once."""
    here = room()
    perform_together(
        Job.SIGN, job_ids, lambda claimed: sign_together(here, claimed), lambda job: sign(here, job), here.claimant
    )


def sign_together(here: SigningRoom, claimed: Sequence[ClaimedJob]) -> None:
    """All of them in one transaction, or none: raises whatever one of them raises."""
    with transaction(here.engine) as session:
        _sign_in(session, here, claimed)


def sign(here: SigningRoom, job: ClaimedJob) -> None:
    """One job in one transaction. What is refused is kept as the job's end, with the reason on the page."""
    try:
        with transaction(here.engine) as session:
            _sign_in(session, here, [job])
    except IntegrityError as error:
        # Another worker took this version number in the same instant. The next attempt takes the next one.
        with transaction(here.engine) as session:
            jobs.put_off(session, job, wall_now(), f"the version number was taken meanwhile: {error.orig}")
    except IllegalMove as error:
        # Withdrawn or taken back after it was approved, or signed for a later approval: nothing to sign, nobody's fault.
        with transaction(here.engine) as session:
            jobs.finish(session, job, wall_now(), f"not signed: the application is {error.status.value}")
    except (Conflict, Misconfigured, LicenseRefused, TrustError) as error:
        _give_up(here, job, str(error))


def _sign_in(session: Session, here: SigningRoom, claimed: Sequence[ClaimedJob]) -> None:
    """Claims from what was approved, signatures, verification of the own output, the stored files, the moves to issued, the
    deliveries owed, the jobs done."""
    now = utc_now()
    chain = here.chain()
    roots = [root.raw for root in chain.roots[1:]]
    revocations = list_to_carry(session, chain.current, sum(map(len, roots)), now)
    signed: list[Signed] = []
    for evidence in evidence_of(session, here.desk.policy, _applications(session, claimed)):
        claims = issuing.claims_to_sign(evidence, here.desk, now)
        signer = here.signer(claims.environment.value, chain.current)
        raw = sign_license(encode_claims(claims), [signer], roots=roots, revocations=revocations)
        signed.append(Signed(evidence.application, raw, verify_license(raw, chain.roots[0], None, now)))
    issuing.record_issued(session, SIGNER, here.desk, signed, now)
    jobs.finish_all(session, claimed, wall_now())


def _applications(session: Session, claimed: Sequence[ClaimedJob]) -> list[Application]:
    # Locked before anything else is read: status, votes and history have to be of one instant, or a withdrawal in between would
    # look like a history that somebody tampered with.
    found = applications.locked(session, [job.ref for job in claimed if job.ref])
    return [found[job.ref] for job in claimed if job.ref]


def list_to_carry(session: Session, trust: TrustRoot, beside: int, now: datetime) -> bytes | None:
    """The newest revocation list, to travel inside a file beside so many bytes of trust roots; None when there is none.

    A list whose signer a newer trust root dropped would make every platform refuse the file, and one that does not fit
    travels as a document of its own.
    """
    newest = queries.newest_list(session)
    if newest is None or ROOM_FOR_LICENSE + beside + len(newest.envelope) > MAX_ENVELOPE:
        return None
    try:
        return verify_revocations(newest.envelope, trust, now).raw
    except UntrustedRevocations as untrusted:
        log.warning("revocation list %s is left out of license files: %s", newest.sequence, untrusted)
        return None


def _give_up(here: SigningRoom, job: ClaimedJob, reason: str) -> None:
    assert job.ref is not None
    with transaction(here.engine) as session:
        application = applications.get_application_by_id(session, job.ref)
        jobs.bury(session, job, wall_now(), reason)
        issuing.record_signing_failed(session, SIGNER, application, reason, utc_now())
