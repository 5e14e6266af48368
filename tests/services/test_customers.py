"""Customers, their environments and recipients: what a liaison adds on the way to an application."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import Session, select

from tests import people
from tests.builders import NOW, WEI, Office
from tests.mail.test_certificates import certificate_with
from workflow.certificates import CertificateRefused
from workflow.db.queries import customers
from workflow.db.tables import Environment, EventRow, Recipient, Tenant
from workflow.domain.roles import Actor, MissingRole
from workflow.domain.terms import EnvironmentName
from workflow.errors import Invalid, NotFound
from workflow.recipient_keys import MailTrust
from workflow.services import customers as services
from workflow.services import recipients
from workflow.services.customers import CustomerRefused, TenantExists
from workflow.services.recipients import RecipientExists
from workflow.times import wall_now


def add(office: Office, **changes: Any) -> Tenant:
    made = {"tenant_id": "T-9", "company": "Acme Ltd.", "time_zone": "Europe/Berlin", **changes}
    with office.work() as session:
        return services.add_tenant(session, people.LIAISON, **made, now=NOW)


def refusals(office: Office, **changes: Any) -> list[str]:
    with pytest.raises(CustomerRefused) as refused:
        add(office, **changes)
    return [each.field for each in refused.value.problems]


def facts(office: Office) -> list[str]:
    with office.work() as session:
        return [row.payload for row in session.exec(select(EventRow).where(EventRow.stream == "system"))]


def harbourline(session: Session) -> Tenant:
    return customers.get_tenant(session, "T-20817")


def test_a_new_customer_has_three_environments_each_with_a_license_id_of_its_own(office: Office) -> None:
    tenant = add(office, company="  Acme \t Ltd. ")
    assert tenant.company == "Acme Ltd."
    with office.work() as session:
        found = customers.environments_of(session, tenant.id)
    assert [each.name for each in found] == ["DEV", "UAT", "PROD"]
    assert all(each.license_id.startswith(f"{each.name}-") for each in found)
    assert len({each.license_id for each in found}) == 3
    assert any("customer.added" in each and "Acme Ltd." in each for each in facts(office))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tenant_id": " "}, "tenant_id"),
        ({"tenant_id": "T 9"}, "tenant_id"),
        ({"tenant_id": "T-9\x00"}, "tenant_id"),
        ({"tenant_id": "租户"}, "tenant_id"),
        ({"tenant_id": "T" * 65}, "tenant_id"),
        ({"company": "   "}, "company"),
        ({"company": "A" * 201}, "company"),
        ({"company": "Acme\x00"}, "company"),
        ({"company": "Acme \u202egnitteb"}, "company"),
        ({"company": "Acme\u200b"}, "company"),
        ({"company": "Acme \ud800"}, "company"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": ""}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
    ],
)
def test_a_customer_that_cannot_be_written_into_a_license_is_refused_by_field(
    office: Office, changes: dict[str, Any], field: str
) -> None:
    assert refusals(office, **changes) == [field]
    with office.work() as session:
        assert customers.find_tenant(session, "T-9") is None


@pytest.mark.parametrize("company", ["Müller & Söhne GmbH", "Mu\u0308ller", "哈伯莱物流有限公司", 'O\'Neill "Ltd." <x>'])
def test_whatever_a_company_is_called_its_license_can_be_issued(office: Office, company: str) -> None:
    tenant = add(office, company=company)
    with office.work() as session:
        office.add_recipient(session, session.merge(tenant), "Somebody", "somebody@acme.example")
    number = office.issued(tenant_id="T-9", recipients=["somebody@acme.example"])
    assert office.status(number) == "issued"


def test_a_tenant_id_is_taken_once(office: Office) -> None:
    with pytest.raises(TenantExists, match="T-20817"):
        add(office, tenant_id="T-20817")


def test_an_environment_that_is_there_is_given_back(office: Office) -> None:
    with office.work() as session:
        tenant = harbourline(session)
        first = services.add_environment(session, people.LIAISON, tenant, EnvironmentName.PROD, " second ", NOW)
        again = services.add_environment(session, people.LIAISON, tenant, EnvironmentName.PROD, "second", NOW)
        assert first.id == again.id
    with office.work() as session:
        assert len(session.exec(select(Environment)).all()) == 4
        with pytest.raises(CustomerRefused):
            services.add_environment(session, people.LIAISON, harbourline(session), EnvironmentName.DEV, "x" * 41, NOW)


def put(office: Office, **changes: Any) -> Recipient:
    made: dict[str, Any] = {"name": "Chen Li", "address": "li.chen@harbourline.example", "key": None, **changes}
    with office.work() as session:
        return recipients.add_recipient(
            session, people.LIAISON, harbourline(session), **made, trust=MailTrust(), now=NOW, wall=wall_now()
        )


def test_an_address_is_kept_as_mail_servers_compare_it(office: Office) -> None:
    assert put(office, address=" Li.Chen@Harbourline.Example ").address == "li.chen@harbourline.example"
    with pytest.raises(RecipientExists):
        put(office, address="LI.CHEN@harbourline.example")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "Chen\x00"}, "name"),
        ({"address": "nobody"}, "address"),
        ({"address": "a@b.example\r\nBcc: c@d.example"}, "address"),
        ({"address": "a@b.example\x00"}, "address"),
    ],
)
def test_a_recipient_no_mail_can_have_is_refused_by_field(office: Office, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        put(office, **changes)
    assert [each.field for each in refused.value.problems] == [field]


def test_something_that_is_no_certificate_is_refused_and_nobody_is_added(office: Office) -> None:
    with pytest.raises(CertificateRefused):
        put(office, key=b"-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n")
    with office.work() as session:
        assert len(session.exec(select(Recipient)).all()) == 2


def test_a_removed_recipient_can_come_back_under_the_same_address(office: Office) -> None:
    first = put(office)
    with office.work() as session:
        recipients.remove_recipient(session, people.LIAISON, first.id, NOW)
    with office.work() as session, pytest.raises(NotFound):
        recipients.remove_recipient(session, people.LIAISON, first.id, NOW)
    second = put(office, name="Chen Li (back)")
    assert (second.id, second.name, second.removed_at) == (first.id, "Chen Li (back)", None)


@pytest.mark.parametrize(
    "actor", [*people.APPROVERS, people.ADMINISTRATOR, people.AUDITOR, people.STRANGER], ids=lambda each: each.name
)
def test_only_liaisons_and_operators_change_customers(office: Office, actor: Actor) -> None:
    with office.work() as session:
        tenant = harbourline(session)
        someone = session.exec(select(Recipient).where(Recipient.address == WEI)).one()
        keep: dict[str, Any] = {"trust": MailTrust(), "now": NOW, "wall": wall_now()}
        new: dict[str, Any] = {"name": "x", "address": "x@y.example", "key": None, **keep}
        attempts: list[Callable[[], object]] = [
            lambda: services.add_tenant(session, actor, tenant_id="T-1", company="x", time_zone="UTC", now=NOW),
            lambda: services.add_environment(session, actor, tenant, EnvironmentName.DEV, "x", NOW),
            lambda: recipients.add_recipient(session, actor, tenant, **new),
            lambda: recipients.change_key(session, actor, someone.id, None, **keep),
            lambda: recipients.remove_recipient(session, actor, someone.id, NOW),
        ]
        for attempt in attempts:
            with pytest.raises(MissingRole, match="liaison or operator"):
                attempt()


def test_every_change_of_a_recipient_is_in_the_history(office: Office) -> None:
    person = put(office)
    theirs = certificate_with(ec.generate_private_key(ec.SECP256R1()), address=person.address)
    with office.work() as session:
        recipients.change_key(session, people.OPERATOR, person.id, theirs, trust=MailTrust(), now=NOW, wall=wall_now())
        recipients.remove_recipient(session, people.OPERATOR, person.id, NOW)
    told = [each.split('"what":"')[1].split('"')[0] for each in facts(office) if str(person.id) in each]
    assert told == ["recipient.added", "recipient.certificate", "recipient.removed"]
