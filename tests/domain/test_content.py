"""What is frozen at submit, and what a renewal changes against the license in force."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from tests.builders import ANSWERS, CATALOGUE, DESK, answers
from workflow.domain.content import (
    ApplicationContent,
    StatedRestriction,
    TermChange,
    changes,
    content_document,
    content_from,
)
from workflow.domain.terms import LicenseKind, LicenseTerms, read_request

TERMS = read_request(ANSWERS, CATALOGUE).terms


def test_content_is_read_back_as_it_was_written() -> None:
    content = ApplicationContent(
        license_id="PROD-7Q2MX-4TBK9-HZ0CE",
        company="Harbourline Logistics Co., Ltd.",
        request=read_request(answers(label="second", note="Zeile 1\nZeile 2"), CATALOGUE),
        restrictions=(StatedRestriction("internal-use", "For the licensee's own staff."),),
        defaults=DESK.defaults,
    )
    assert content_from(content_document(content)) == content


def test_the_same_terms_change_nothing() -> None:
    assert changes(TERMS, TERMS) == ()


@pytest.mark.parametrize(
    ("new", "change"),
    [
        ({"max_agents": 100}, TermChange("max_agents", "120", "100", delta=-20, loses=True)),
        ({"authorized_users": 900}, TermChange("authorized_users", "800", "900", delta=100)),
        (
            {"modules": ("agent-studio", "workflow")},
            TermChange("modules", "2", "2", ("workflow",), ("knowledge-base",), loses=True),
        ),
        ({"model_types": ("chat", "embedding", "vision")}, TermChange("model_types", "2", "3", ("vision",))),
        ({"restrictions": ()}, TermChange("restrictions", "1", "0", removed=("internal-use",))),
        (
            {"restrictions": ("internal-use", "mainland-china")},
            TermChange("restrictions", "1", "2", added=("mainland-china",), loses=True),
        ),
        (
            {"last_day": date(2027, 11, 10)},
            TermChange("validity", "2026-11-02/2027-10-31", "2026-11-02/2027-11-10", delta=10),
        ),
        (
            {"last_day": date(2027, 10, 21)},
            TermChange("validity", "2026-11-02/2027-10-31", "2026-11-02/2027-10-21", delta=-10, loses=True),
        ),
        ({"time_zone": "Europe/Berlin"}, TermChange("time_zone", "Asia/Shanghai", "Europe/Berlin")),
        ({"kind": LicenseKind.TRIAL}, TermChange("kind", "standard", "trial")),
    ],
)
def test_a_change_is_named_with_what_it_was_and_what_it_takes_away(new: dict[str, Any], change: TermChange) -> None:
    assert changes(TERMS, replace(TERMS, **new)) == (change,)


def test_every_term_that_a_liaison_can_choose_is_compared() -> None:
    other = LicenseTerms(("workflow",), ("vision",), (), 1, 1, date(2028, 1, 1), date(2028, 2, 1), "UTC", LicenseKind.TRIAL)
    compared = {each.term for each in changes(TERMS, other)}
    chosen = set(LicenseTerms.__dataclass_fields__) - {"first_day", "last_day"}
    assert compared == {*chosen, "validity"}
