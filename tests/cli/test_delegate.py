"""`licdesk delegate` on a database: who acts for whom, told to whoever runs the desk."""

import re
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine
from typer.testing import Result

from tests import people
from tests.builders import Office
from tests.cli.conftest import licdesk
from workflow.times import utc_now

Here = Callable[..., Result]
AWAY, ACTING = "security@serviceme.example", "lead@serviceme.example"


@pytest.fixture
def office(engine: Engine) -> Office:
    return Office.opened(engine)


@pytest.fixture
def here(office: Office) -> Here:
    """A command on this test's database."""
    url = office.engine.url.render_as_string(hide_password=False)
    return lambda *arguments: licdesk("delegate", *arguments, environ={"LICDESK_DATABASE_URL": url, "COLUMNS": "250"})


def in_days(days: int) -> str:
    return (utc_now().date() + timedelta(days=days)).isoformat()


def test_a_colleague_is_named_listed_and_ended(office: Office, here: Here) -> None:
    given = here("give", AWAY, "--to", ACTING, "--until", in_days(3), "--reason", "On leave.")
    assert given.exit_code == 0, given.output
    found = re.search(rf"^{ACTING} acts for {AWAY} from \S+ to (\S+)\. End it with: licdesk delegate end (\S+)$", given.stdout)
    assert found
    assert date.fromisoformat(found[1]).isoformat() == in_days(3)
    listed = here("list")
    for words in (AWAY, ACTING, "On leave.", found[2]):
        assert words in listed.stdout, words
    ended = here("end", found[2])
    assert (ended.exit_code, ended.stdout) == (0, "Ended. Votes for the colleague are refused from now on.\n")
    assert AWAY not in here("list").stdout
    facts = "\n".join(office.system_facts())
    assert "delegation.given" in facts
    assert "delegation.ended" in facts


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"--to": "lin.mei@serviceme.example"}, "delegations.refused", "another approver"),
        ({"--to": AWAY}, "delegations.refused", "somebody else"),
        ({"--until": in_days(200)}, "delegations.refused", "at most 90 days"),
        ({"--from": in_days(-3)}, "delegations.refused", "today or a later day"),
        ({"--reason": " "}, "delegations.refused", "Say why"),
        ({"email": "nobody@serviceme.example"}, "not_found", "licdesk users list"),
        ({"email": "lin.mei@serviceme.example"}, "delegations.refused", "is no approver"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(here: Here, changes: dict[str, str], code: str, words: str) -> None:
    email = changes.get("email", AWAY)
    options = {"--to": ACTING, "--until": in_days(3), "--reason": "On leave."} | changes
    options.pop("email", None)
    refused = here("give", email, *(part for pair in options.items() for part in pair))
    assert refused.exit_code != 0
    assert refused.stderr.startswith(code)
    assert words in refused.stderr
    assert AWAY not in here("list").stdout


def test_two_do_not_act_for_one_person_on_the_same_days(here: Here) -> None:
    first = here("give", AWAY, "--to", ACTING, "--until", in_days(5), "--reason", "On leave.")
    assert first.exit_code == 0, first.output
    second = here("give", AWAY, "--to", "daniel.osei@serviceme.example", "--until", in_days(2), "--reason", "On leave.")
    assert second.stderr.startswith("delegations.away_already")
    assert people.LEAD.name in second.stderr


def test_what_does_not_exist_cannot_be_ended(here: Here) -> None:
    refused = here("end", "00000000-0000-0000-0000-000000000007")
    assert refused.stderr.startswith("not_found")
    assert refused.exit_code != 0
