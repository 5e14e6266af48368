"""What a liaison states, read and checked: a message for each field, and never anything but a message."""

import json
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.builders import ANSWERS, CATALOGUE, answers
from workflow.domain.content import request_document
from workflow.domain.terms import (
    EnvironmentName,
    LicenseKind,
    LicenseRequest,
    RequestType,
    TermsRefused,
    already_over,
    last_usable_day,
    read_request,
    start_of_day,
)


def refusals(raw: Any) -> dict[str, str]:
    """The code of the problem with each field."""
    with pytest.raises(TermsRefused) as refused:
        read_request(raw, CATALOGUE)
    assert len(refused.value.problems) == len({each.field for each in refused.value.problems}), "one message per field"
    return {each.field: each.code for each in refused.value.problems}


def test_a_complete_application_is_read_as_it_was_stated() -> None:
    request = read_request(ANSWERS, CATALOGUE)
    assert (request.tenant_id, request.environment, request.request) == ("T-20817", EnvironmentName.PROD, RequestType.NEW)
    assert request.terms.modules == ("agent-studio", "knowledge-base")
    assert request.terms.restrictions == ("internal-use",)
    assert (request.terms.max_agents, request.terms.authorized_users) == (120, 800)
    assert (request.terms.first_day, request.terms.last_day) == (date(2026, 11, 2), date(2027, 10, 31))
    assert request.terms.kind is LicenseKind.STANDARD
    assert request.recipients == ("wei.zhang@harbourline.example",)
    assert request.note == "Order PO-88213."


def test_an_empty_application_names_every_field_that_has_to_be_filled_in() -> None:
    assert refusals({}) == dict.fromkeys(
        [
            "tenant_id",
            "environment",
            "modules",
            "model_types",
            "limits.agents",
            "limits.users",
            "validity.time_zone",
            "validity.first_day",
            "validity.last_day",
            "recipients",
        ],
        "missing",
    )


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"tenant_id": "   "}, "tenant_id", "missing"),
        ({"tenant_id": 20817}, "tenant_id", "missing"),
        ({"tenant_id": "T" * 65}, "tenant_id", "too_long"),
        ({"tenant_id": "T-1\x00"}, "tenant_id", "control_character"),
        ({"tenant_id": "T-\ud800"}, "tenant_id", "control_character"),
        ({"environment": "LIVE"}, "environment", "unknown"),
        ({"environment": ["PROD"]}, "environment", "unknown"),
        ({"request": "again"}, "request", "unknown"),
        ({"kind": "free"}, "kind", "unknown"),
        ({"modules": []}, "modules", "missing"),
        ({"modules": ["agent-studio", "time-travel"]}, "modules", "unknown"),
        ({"modules": [{"code": "agent-studio"}]}, "modules", "unknown"),
        ({"modules": [["agent-studio"]]}, "modules", "unknown"),
        ({"modules": 7}, "modules", "wrong_type"),
        ({"model_types": ["*"]}, "model_types", "unknown"),
        ({"restrictions": ["do-no-evil"]}, "restrictions", "unknown"),
        ({"limits__agents": 0}, "limits.agents", "out_of_range"),
        ({"limits__agents": -3}, "limits.agents", "out_of_range"),
        ({"limits__agents": 1_000_001}, "limits.agents", "out_of_range"),
        ({"limits__agents": "many"}, "limits.agents", "not_a_number"),
        ({"limits__agents": 2.5}, "limits.agents", "not_a_number"),
        ({"limits__agents": True}, "limits.agents", "not_a_number"),
        ({"limits__agents": float("inf")}, "limits.agents", "not_a_number"),
        ({"limits__users": float("nan")}, "limits.users", "not_a_number"),
        ({"limits__users": [800]}, "limits.users", "not_a_number"),
        ({"limits__users": "9" * 5_000}, "limits.users", "not_a_number"),
        ({"validity__first_day": "31.12.2026"}, "validity.first_day", "not_a_date"),
        ({"validity__first_day": 20261231}, "validity.first_day", "not_a_date"),
        ({"validity__last_day": "2027-02-30"}, "validity.last_day", "not_a_date"),
        ({"validity__last_day": "2026-11-01"}, "validity.last_day", "before_first_day"),
        ({"validity__last_day": "2101-01-01"}, "validity.last_day", "out_of_range"),
        ({"validity__last_day": date(9999, 12, 31)}, "validity.last_day", "out_of_range"),
        ({"validity__first_day": date(1, 1, 1)}, "validity.first_day", "out_of_range"),
        ({"validity__time_zone": "Mars/Olympus"}, "validity.time_zone", "unknown"),
        ({"validity__time_zone": "../../etc/passwd"}, "validity.time_zone", "unknown"),
        ({"validity__time_zone": "Asia"}, "validity.time_zone", "unknown"),
        ({"validity__time_zone": "localtime"}, "validity.time_zone", "unknown"),
        ({"validity__time_zone": "right/UTC"}, "validity.time_zone", "unknown"),
        ({"validity__time_zone": "posixrules"}, "validity.time_zone", "unknown"),
        ({"validity__time_zone": ["Asia/Shanghai"]}, "validity.time_zone", "unknown"),
        ({"recipients": []}, "recipients", "missing"),
        ({"recipients": [""]}, "recipients", "wrong_type"),
        ({"recipients": [{"address": "a@b.example"}]}, "recipients", "wrong_type"),
        ({"recipients": ["a\x00@b.example"]}, "recipients", "control_character"),
        ({"recipients": ["a" * 255]}, "recipients", "too_long"),
        ({"label": "x" * 41}, "label", "too_long"),
        ({"label": 5}, "label", "wrong_type"),
        ({"contract_reference": "x" * 101}, "contract_reference", "too_long"),
        ({"note": "x" * 2_001}, "note", "too_long"),
        ({"note": "bell \x07"}, "note", "control_character"),
    ],
)
def test_a_bad_answer_is_named_by_its_field(changes: dict[str, Any], field: str, code: str) -> None:
    assert refusals(answers(**changes)) == {field: code}


def test_limits_that_are_no_table_are_missing() -> None:
    assert refusals(answers(limits="120")) == {"limits.agents": "missing", "limits.users": "missing"}


@pytest.mark.parametrize(
    ("stated", "meant"),
    [("1,200", 1_200), (" 1200 ", 1_200), (1200.0, 1_200), (1, 1), (1_000_000, 1_000_000)],
)
def test_a_number_is_read_as_people_and_programs_write_it(stated: Any, meant: int) -> None:
    assert read_request(answers(limits__users=stated), CATALOGUE).terms.authorized_users == meant


def test_choices_come_out_in_the_order_of_the_catalogue_and_once_each() -> None:
    request = read_request(answers(modules=["workflow", "agent-studio", "workflow"]), CATALOGUE)
    assert request.terms.modules == ("agent-studio", "workflow")


def test_a_single_choice_of_a_form_is_a_list_of_one() -> None:
    request = read_request(answers(modules="workflow", recipients="a@b.example"), CATALOGUE)
    assert request.terms.modules == ("workflow",)
    assert request.recipients == ("a@b.example",)


def test_a_recipient_named_twice_gets_the_file_once() -> None:
    request = read_request(answers(recipients=["a@b.example", "a@b.example ", "c@d.example"]), CATALOGUE)
    assert request.recipients == ("a@b.example", "c@d.example")


def test_what_was_read_can_be_written_down_and_read_again() -> None:
    request = read_request(ANSWERS, CATALOGUE)
    assert read_request(request_document(request), CATALOGUE) == request


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(alphabet=st.characters(), min_size=1)
    | st.dates()
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    *("tenant_id", "environment", "label", "request", "kind", "modules", "model_types", "restrictions", "limits", "validity"),
    *("recipients", "contract_reference", "note", "limits__agents", "limits__users"),
    *("validity__first_day", "validity__last_day", "validity__time_zone"),
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FIELDS), ANYTHING)
@example("modules", [{}])
@example("limits__agents", float("inf"))
@example("validity__time_zone", "\ud800")
@example("recipients", "\ud800")
def test_whatever_a_program_sends_is_read_or_refused_with_a_message(field: str, value: Any) -> None:
    raw = answers()
    place, *path = raw, *field.split("__")
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    try:
        request = read_request(raw, CATALOGUE)
    except TermsRefused:
        return
    assert request.terms.valid_from < request.terms.valid_until
    json.dumps(request_document(request), ensure_ascii=False).encode()  # every text can be stored


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*ANSWERS, "x"]), ANYTHING))
def test_whole_applications_of_nonsense_are_refused_with_messages(raw: dict[str, Any]) -> None:
    with suppress(TermsRefused):
        read_request(raw, CATALOGUE)


def stated(**changes: Any) -> LicenseRequest:
    return read_request(answers(**changes), CATALOGUE)


FIRST = date(2026, 11, 2)


@pytest.mark.parametrize(
    ("environment", "kind", "longest"),
    [
        ("DEV", "standard", 366),
        ("UAT", "standard", 366),
        ("PROD", "standard", 1_098),
        ("DEV", "trial", 60),
        ("PROD", "trial", 60),
        ("PROD", "extension", 31),
    ],
)
def test_a_license_may_run_as_long_as_its_environment_and_kind_allow_and_no_day_longer(
    environment: str, kind: str, longest: int
) -> None:
    def running(days: int) -> LicenseRequest:
        last_day = (FIRST + timedelta(days=days - 1)).isoformat()
        return stated(environment=environment, kind=kind, validity__last_day=last_day)

    assert running(longest).terms.days == longest
    with pytest.raises(TermsRefused) as refused:
        running(longest + 1)
    (problem,) = refused.value.problems
    assert (problem.field, problem.code) == ("validity.last_day", "too_long")
    assert f"{longest} days at most" in problem.message


def test_today_can_be_the_last_day_and_yesterday_cannot() -> None:
    one_day = stated(validity__last_day="2026-11-02")
    assert already_over(one_day, date(2026, 11, 2)) == []
    assert [each.code for each in already_over(one_day, date(2026, 11, 3))] == ["in_the_past"]


def test_a_validity_that_does_not_fit_is_told_together_with_what_is_missing() -> None:
    with pytest.raises(TermsRefused, match="3 answers need fixing") as refused:
        stated(validity__last_day="2040-11-02", modules=[], recipients=[])
    assert {each.field for each in refused.value.problems} == {"modules", "recipients", "validity.last_day"}


def test_both_days_are_usable_from_midnight_to_midnight_where_the_customer_is() -> None:
    terms = stated(validity__first_day="2026-11-02", validity__last_day="2026-11-03").terms
    assert terms.days == 2
    assert terms.valid_from == datetime(2026, 11, 1, 16, 0, tzinfo=UTC)
    assert terms.valid_until == datetime(2026, 11, 3, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "time_zone", "midnight"),
    [
        (date(2027, 3, 28), "Europe/Berlin", datetime(2027, 3, 27, 23, 0, tzinfo=UTC)),  # the hour is skipped later that day
        (date(2027, 3, 29), "Europe/Berlin", datetime(2027, 3, 28, 22, 0, tzinfo=UTC)),
        (date(2027, 11, 1), "Europe/Berlin", datetime(2027, 10, 31, 23, 0, tzinfo=UTC)),
        (date(2027, 4, 30), "Africa/Cairo", datetime(2027, 4, 29, 22, 0, tzinfo=UTC)),  # this midnight does not exist
        (date(2027, 11, 7), "America/Havana", datetime(2027, 11, 7, 4, 0, tzinfo=UTC)),  # this one comes twice
        (date(2027, 1, 1), "Pacific/Kiritimati", datetime(2026, 12, 31, 10, 0, tzinfo=UTC)),
        (date(2027, 1, 1), "Asia/Kathmandu", datetime(2026, 12, 31, 18, 15, tzinfo=UTC)),
    ],
)
def test_a_day_starts_at_its_first_instant_where_clocks_change_too(day: date, time_zone: str, midnight: datetime) -> None:
    assert start_of_day(day, time_zone) == midnight


@settings(max_examples=300, deadline=None)
@given(st.dates(date(2026, 1, 1), date(2100, 12, 31)), st.sampled_from(sorted(available_timezones())))
def test_the_last_usable_day_is_the_one_that_was_asked_for_in_every_zone(day: date, time_zone: str) -> None:
    assert last_usable_day(start_of_day(day + timedelta(days=1), time_zone), time_zone) == day
