"""`licdesk policy`: check a file, explain an application, try another policy out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import Result

from tests import people
from tests.builders import DESK, Office
from tests.cli.conftest import licdesk
from tests.domain.policy.written import FOUR, HEAD, PROD, policy
from workflow.db.queries import people as person_queries
from workflow.services.policies import SHIPPED_POLICY

Here = Callable[..., Result]
LONG_AGO = "36500d"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "policies"


@pytest.fixture
def office(engine: Engine) -> Office:
    """An office under the policy of four rules."""
    return replace(Office.opened(engine), desk=replace(DESK, policy=policy(*FOUR)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The policy of four rules as a file."""
    path = tmp_path / "policy.toml"
    path.write_text(HEAD + "".join(FOUR), encoding="utf-8")
    return path


@pytest.fixture
def here(engine: Engine, file: Path) -> Here:
    """A command on this test's database, under the policy of four rules."""
    url = engine.url.render_as_string(hide_password=False)
    return lambda *arguments: licdesk(
        *arguments, environ={"LICDESK_DATABASE_URL": url, "LICDESK_POLICY_FILE": str(file), "COLUMNS": "200"}
    )


def test_a_good_file_is_told_with_its_digest() -> None:
    checked = licdesk("policy", "check", str(EXAMPLES / "two-people.toml"))
    assert checked.exit_code == 0, checked.output
    assert "two-people.toml: 3 rules, SHA-256 " in checked.stdout
    assert "policy.toml: 1 rule, SHA-256 " in licdesk("policy", "check").stdout


def test_a_broken_file_is_told_with_every_line_and_ends_with_status_1(file: Path) -> None:
    file.write_text((HEAD + PROD).replace('"2bd"', '"soon"').replace('"PROD"]', '"LIVE"]'), encoding="utf-8")
    checked = licdesk("policy", "check", str(file))
    assert checked.exit_code == 1
    assert f"{file}, line 3: 'soon' is no business time" in checked.stderr
    assert f"{file}, line {HEAD.count(chr(10)) + 5}: environment must be one or more of DEV, UAT, PROD" in checked.stderr
    served = licdesk("serve", environ={"LICDESK_POLICY_FILE": str(file)})
    assert (served.exit_code, f"{file}, line 3" in served.stderr) == (1, True)
    worked = licdesk("worker", "signing", environ={"LICDESK_POLICY_FILE": str(file)})
    assert (worked.exit_code, f"{file}, line 3" in worked.stderr) == (1, True)


def test_a_rule_that_never_applies_is_named_and_stops_nothing(file: Path) -> None:
    never = PROD.replace('id = "prod"', 'id = "never"').replace('environment = ["PROD"]', 'kind = "trial", days_min = 61')
    file.write_text(HEAD + PROD + never, encoding="utf-8")
    checked = licdesk("policy", "check", str(file))
    assert (checked.exit_code, "rule never can never apply" in checked.stdout) == (0, True)


def test_missing_people_are_named_with_rule_and_combination(here: Here, office: Office) -> None:
    assert "The people of this desk can meet every rule." in here("policy", "check", "--people").stdout
    with office.work() as session:
        person_queries.get_person(session, people.id_of(people.SECURITY)).disabled_at = people.HIRED
    checked = here("policy", "check", "--people")
    assert checked.exit_code == 0
    assert "Rule prod (PROD: one approver and one of security, two different people) cannot be met" in checked.stdout
    assert "security needs 1 and has 0. It concerns PROD, new, standard" in checked.stdout


def test_an_application_is_explained_in_the_rules_own_words(here: Here, office: Office) -> None:
    number = office.submitted(limits__users=100, limits__agents=10)
    office.vote(number)
    told = here("policy", "explain", number).stdout
    assert "applies prod: PROD: one approver and one of security, two different people" in told
    assert "asks for 1 of approvers and 1 of security, 2 different people" in told
    assert "because the environment is PROD, not DEV or UAT; the" not in told
    assert "Still needed: PROD: one approver and one of security" in told
    assert "another policy" not in told
    other = here("policy", "explain", number, "--policy", str(EXAMPLES / "small-desk.toml")).stdout
    assert "It was submitted under another policy" in other
    assert "would ask for: 1 of approvers, 2 of approvers, 2 different people" in other


def test_a_draft_is_not_explained(here: Here, office: Office) -> None:
    told = here("policy", "explain", office.draft())
    assert (told.exit_code, "The policy speaks once it is submitted" in told.stderr) == (1, True)


def test_another_policy_is_tried_on_what_was_decided(here: Here, engine: Engine, tmp_path: Path, office: Office) -> None:
    one_is_enough = replace(office, desk=replace(DESK, policy=DESK.policy))
    by_one, by_two, small = (one_is_enough.submitted(environment=each) for each in ("PROD", "PROD", "UAT"))
    for number in (by_one, by_two, small):
        one_is_enough.vote(number, actor=people.SECURITY)
    strict = tmp_path / "strict.toml"
    strict.write_text(HEAD + PROD, encoding="utf-8")
    told = here("policy", "simulate", str(strict), "--since", LONG_AGO).stdout
    assert by_one in told
    assert "2 different people have to approve; 1 did." in told
    assert "No rule applies: one of leads decides." in told
    shipped = tmp_path / "shipped.toml"
    shipped.write_text(
        SHIPPED_POLICY.read_text(encoding="utf-8").replace("one-approver", "same-by-another-name"), encoding="utf-8"
    )
    assert "Nothing would differ" in here("policy", "simulate", str(shipped), "--since", LONG_AGO).stdout
    assert here("policy", "simulate", str(strict), "--since", "soon").exit_code == 2
