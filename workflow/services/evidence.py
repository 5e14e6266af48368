"""All that the signer judges an application by, read at once for as many as a message names."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from workflow.db.queries import applications, customers, events, licenses
from workflow.db.queries.events import Chain
from workflow.db.tables import Application, Environment, IssuedLicense, RequirementRow, Tenant
from workflow.domain.policy import Policy
from workflow.domain.terms import LicenseTerms
from workflow.services.decisions import Ballot, ballots_of
from workflow.services.policies import terms_of


@dataclass(frozen=True)
class Evidence:
    """What is on record about one application."""

    application: Application
    ballot: Ballot
    requirements: tuple[RequirementRow, ...]
    environment: Environment
    tenant: Tenant
    versions: tuple[IssuedLicense, ...]
    """What was issued to the environment before, newest first; without the bytes."""
    before: LicenseTerms | None
    """What the license in force allows."""
    chain: Chain
    """Its history."""

    @property
    def in_force(self) -> IssuedLicense | None:
        """What the environment runs on."""
        return licenses.in_force_among(self.versions)


def evidence_of(session: Session, policy: Policy, judged: Sequence[Application]) -> list[Evidence]:
    """What is on record about applications that were submitted, in their order; nine statements for any number of them.

    Raises RevisionMissing.
    """
    ids = [each.id for each in judged]
    ballot = ballots_of(session, policy, applications.revisions_of_all(session, ids), applications.votes_on_all(session, ids))
    requirements = applications.grouped(applications.requirements_of_all(session, ids))
    places = customers.environments_with_tenants(session, [each.environment for each in judged if each.environment])
    versions = licenses.of_environments(session, places)
    running = [each for each in map(licenses.in_force_among, versions.values()) if each is not None]
    terms = terms_of(session, running)
    streams = [str(each) for each in ids]
    chains = events.chains_of(session, streams)
    found: list[Evidence] = []
    for application in judged:
        assert application.environment is not None, "foreign keys and the submission see to it"
        environment, tenant = places[application.environment]
        in_force = licenses.in_force_among(versions[environment.id])
        asked = requirements.get(application.id, [])
        found.append(
            Evidence(
                application=application,
                ballot=ballot(application),
                requirements=tuple(row for row in asked if row.revision == application.revision),
                environment=environment,
                tenant=tenant,
                versions=tuple(versions[environment.id]),
                before=terms[in_force.id] if in_force is not None else None,
                chain=chains.get(str(application.id), events.NEVER_BEGAN),
            )
        )
    return found
