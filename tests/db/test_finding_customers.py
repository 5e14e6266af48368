"""What people type to find a customer, an application or a license."""

import pytest

from tests import people
from tests.builders import NOW, Office
from workflow.db.queries import applications, directory, words
from workflow.db.queries.applications import Page
from workflow.domain.terms import EnvironmentName
from workflow.services import customers


def companies(office: Office, search: str) -> list[str]:
    with office.work() as session:
        return [each.company for each in directory.search_tenants(session, search=search)]


def numbers(office: Office, search: str) -> list[str]:
    with office.work() as session:
        return [
            each.application.number for each in applications.list_applications(session, people.LIAISON, Page(search=search))
        ]


def add(office: Office, tenant_id: str, company: str) -> None:
    with office.work() as session:
        customers.add_tenant(session, people.LIAISON, tenant_id=tenant_id, company=company, time_zone="UTC", now=NOW)


@pytest.mark.parametrize(
    "search",
    [
        "Harbourline",
        "harbour",
        "LINE",
        "logistics harbour",
        "Co., Ltd.",
        "T-20817",
        "20817",
        "817",
        "Harbourline Logistics Co., Ltd.",
    ],
)
def test_a_customer_is_found_by_words_parts_of_words_and_the_tenant_id(office: Office, search: str) -> None:
    add(office, "T-99", "Silvergate Bank plc")
    assert companies(office, search) == ["Harbourline Logistics Co., Ltd."]


@pytest.mark.parametrize("search", ["harbourline bank", "Harbourlines", "%", "_", "\\", "'", "...", "20818"])
def test_every_word_has_to_be_there_and_signs_are_no_words(office: Office, search: str) -> None:
    add(office, "T-99", "Silvergate Bank plc")
    assert companies(office, search) == []


@pytest.mark.parametrize("search", ["港湾", "物流", "港湾物流有限公司", "有限"])
def test_a_chinese_name_is_found_by_any_part_of_it(office: Office, search: str) -> None:
    add(office, "T-88", "港湾物流有限公司")
    assert companies(office, search) == ["港湾物流有限公司"]


def test_letters_that_look_alike_to_people_are_alike(office: Office) -> None:
    add(office, "T-77", "Straße Ｆｕｌｌ GmbH")
    assert companies(office, "STRASSE full") == ["Straße Ｆｕｌｌ GmbH"]


@pytest.mark.parametrize("common", [True, False])
def test_a_word_that_very_many_have_finds_the_same_as_a_rare_one(
    office: Office, monkeypatch: pytest.MonkeyPatch, common: bool
) -> None:
    monkeypatch.setattr(words, "FEW", 0 if common else 400)
    number = office.issued()
    add(office, "T-99", "Silvergate Bank plc")
    assert companies(office, "ltd") == ["Harbourline Logistics Co., Ltd."]
    assert numbers(office, "ltd") == [number]
    assert numbers(office, "silvergate") == []
    with office.work() as session:
        found = directory.page_of_licenses(session, people.AUDITOR, search="logistics")
        assert [each.application.number for each in found] == [number]
        assert directory.page_of_licenses(session, people.AUDITOR, search="plc") == []


def test_an_application_is_found_by_its_number_however_it_is_typed(office: Office) -> None:
    first, second = office.submitted(environment="DEV"), office.submitted()
    for search in (second, second.lower(), second[4:], second[-4:]):
        assert numbers(office, search) == [second], search
    assert first not in numbers(office, second)


def test_the_name_of_an_environment_narrows_what_is_found(office: Office) -> None:
    dev, prod = office.submitted(environment="DEV"), office.submitted()
    assert numbers(office, "Harbourline Logistics Co., Ltd. PROD") == [prod]
    assert numbers(office, "dev") == [dev]
    assert words.asked("prod harbour").environment is EnvironmentName.PROD


def test_a_draft_is_found_by_its_title_by_its_owner_alone(office: Office) -> None:
    number = office.draft()
    title = office.application(number).title
    assert numbers(office, title) == [number]
    with office.work() as session:
        assert applications.list_applications(session, people.AUDITOR, Page(search=title)) == []


def test_a_license_is_found_by_its_id_and_by_a_part_of_it(office: Office) -> None:
    number = office.issued()
    license_id = office.license_of(number).license_id
    for search in (license_id, license_id.lower(), license_id.split("-")[-1]):
        with office.work() as session:
            found = directory.page_of_licenses(session, people.AUDITOR, search=search)
        assert [each.issued.license_id for each in found] == [license_id], search
