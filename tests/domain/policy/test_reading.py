"""A policy file is read whole or refused with every fault, each with its line."""

import re
from datetime import date, time
from pathlib import Path

import pytest

from tests.domain.policy.written import DEV_SMALL, FOUR, HEAD, LARGE, NONPROD, PROD, policy
from workflow.domain.policy import PolicyBroken, StepKind, delivery_words, read_policy
from workflow.domain.policy.calendar import BusinessTime, Unit
from workflow.domain.roles import Role
from workflow.domain.terms import EnvironmentName

ROOT = Path(__file__).resolve().parents[3]


def broken(text: str) -> list[tuple[int, str]]:
    with pytest.raises(PolicyBroken) as refused:
        read_policy(text, "policy.toml")
    return [(each.line, each.reason) for each in refused.value.faults]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_everything_in_the_file_is_in_the_policy() -> None:
    made = policy(*FOUR)
    assert [rule.id for rule in made.rules] == ["dev-small", "nonprod", "prod", "large"]
    assert (made.fallback, made.respond_within) == ("leads", BusinessTime(2, Unit.DAYS))
    prod = made.rules[2]
    assert [(ask.group, ask.count) for ask in prod.require] == [("approvers", 1), ("security", 1)]
    assert prod.distinct == 2
    assert [(str(step.after), step.do, step.group) for step in prod.escalate] == [
        ("1bd", StepKind.REMIND, None),
        ("3bd", StepKind.ADD, "leads"),
    ]
    assert made.calendar.time_zone == "Asia/Shanghai"
    assert made.groups_of("SECOND.lead@serviceme.example", frozenset({Role.APPROVER})) == {"approvers", "leads"}


def test_how_licenses_travel_is_said_per_environment_and_everything_is_allowed_otherwise() -> None:
    made = policy(*FOUR, head=HEAD + '[delivery.PROD]\nencryption = "end_to_end"\n[delivery.UAT]\nportal_code = false\n')
    prod, uat, dev = (made.delivery_to(EnvironmentName(each)) for each in ("PROD", "UAT", "DEV"))
    assert (prod.portal, uat.portal, uat.portal_code, dev.portal, dev.portal_code) == (False, True, False, True, True)
    assert [delivery_words(each) for each in made.delivery] == [
        "UAT: recipients without a key fetch the file from the portal, with an administrator's sign-in alone.",
        "PROD: files travel encrypted to the recipient's own key (S/MIME or OpenPGP), in no other way.",
    ]
    assert made.sha256 != policy(*FOUR).sha256


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('[delivery.TEST]\nencryption = "end_to_end"', "'TEST' is not known here"),
        ('[delivery.PROD]\nencryption = "none"', "encryption must be one of end_to_end, portal_allowed"),
        ("[delivery.PROD]\nportal_code = 1", "portal_code must be true or false"),
        ('[delivery.PROD]\nencryption = "end_to_end"\nportal_code = true', "nothing goes through the portal"),
        ("[delivery.PROD]\nportal_cod = true", "Did you mean portal_code?"),
    ],
)
def test_a_rule_for_delivery_that_means_nothing_is_refused_with_its_line(said: str, reason: str) -> None:
    head = HEAD + said + "\n"
    ((line, told),) = broken(head + PROD)
    assert reason in told
    assert line_of(head, said.splitlines()[0]) <= line <= line_of(head, said.splitlines()[-1])


def test_a_calendar_is_read_from_text_and_from_dates() -> None:
    calendar = (
        'timezone = "Asia/Shanghai"\nweekend = ["fri", "sat"]\nholidays = ["2027-01-01", 2027-02-17]\n'
        'workdays = [2027-01-09]\nhours = ["08:30", 17:00:00]'
    )
    made = policy(*FOUR, head=HEAD.replace('timezone = "Asia/Shanghai"', calendar)).calendar
    assert made.weekend == {4, 5}
    assert made.holidays == {date(2027, 1, 1), date(2027, 2, 17)}
    assert made.workdays == {date(2027, 1, 9)}
    assert (made.opens, made.closes) == (time(8, 30), time(17))


def test_without_a_number_of_people_the_largest_group_says_how_many_differ() -> None:
    two = PROD.replace('"approvers", count = 1', '"approvers", count = 2').replace("distinct = 2\n", "")
    assert policy(two).rules[0].distinct == 2


FAULTS = [
    ("schema = 1", "schema = 2", "Write schema = 1"),
    ("schema = 1", "schema = true", "Write schema = 1"),
    ("schema = 1", "schema = 1\nrules = 3", "'rules' is not known here. Did you mean rule?"),
    ('fallback = "leads"', 'fallback = "leeds"', "fallback names 'leeds', and no group is called so"),
    ('respond_within = "2bd"', 'respond_within = "2 days"', "'2 days' is no business time"),
    ('respond_within = "2bd"', 'respond_within = "61bd"', "61bd is too long"),
    ('respond_within = "2bd"', "respond_within = 2", "respond_within must be text in quotes"),
    ('timezone = "Asia/Shanghai"', 'timezone = "Shanghai"', "'Shanghai' is no time zone"),
    ('timezone = "Asia/Shanghai"', 'timezone = "../passwd"', "is no time zone"),
    ('timezone = "Asia/Shanghai"', 'weekend = ["sunday"]', "'sunday' is no weekday"),
    (
        'timezone = "Asia/Shanghai"',
        'weekend = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]',
        "No weekday is left to work on",
    ),
    ('timezone = "Asia/Shanghai"', 'hours = ["18:00", "09:00"]', "hours must be opening and closing time"),
    ('timezone = "Asia/Shanghai"', "hours = 9", "hours must be opening and closing time"),
    ('timezone = "Asia/Shanghai"', 'holidays = ["1 May"]', "holidays must be days such as"),
    ('approvers = { role = "approver" }', 'approvers = { role = "boss" }', "role must be one of liaison, approver"),
    ('approvers = { role = "approver" }', "approvers = {}", "The group approvers needs a role or users"),
    ('approvers = { role = "approver" }', 'approvers = { role = "approver", users = [] }', "needs a role or users"),
    ('approvers = { role = "approver" }', 'approvers = { users = ["boss"] }', "'boss' is no e-mail address"),
    ('approvers = { role = "approver" }', 'approvers = "approver"', "approvers must be a table"),
    ('id = "prod"', 'id = "Prod!"', "A rule needs an id of small letters"),
    ('id = "prod"', 'id = "large"', "Two rules are called large"),
    ('id = "prod"', 'id = "fallback"', "A rule may not be called so"),
    ('text = "PROD: one approver and one of security, two different people"', "", "Rule prod needs a text"),
    (
        'when = { environment = ["PROD"] }',
        'when = { environment = ["LIVE"] }',
        "environment must be one or more of DEV, UAT, PROD",
    ),
    ('when = { environment = ["PROD"] }', "when = { environment = [] }", "environment must be one or more of"),
    ('when = { environment = ["PROD"] }', 'when = { enviroment = ["PROD"] }', "Did you mean environment?"),
    ('when = { environment = ["PROD"] }', "when = { users_min = 0 }", "users_min must be a whole number from 1 to 1,000,000"),
    ('when = { environment = ["PROD"] }', "when = { users_min = 1.5 }", "users_min must be a whole number"),
    ('when = { environment = ["PROD"] }', "when = { users_min = true }", "users_min must be a whole number"),
    ('when = { environment = ["PROD"] }', "when = { users_min = 9, users_max = 8 }", "users_min is above users_max"),
    ('when = { environment = ["PROD"] }', 'when = { widens = "yes" }', "widens must be true or false"),
    ('when = { environment = ["PROD"] }', "when = { modules = [] }", "modules names nothing"),
    ('when = { environment = ["PROD"] }', "when = { any = [] }", "any must be a list of tables"),
    ('when = { environment = ["PROD"] }', "when = { any = [{}] }", "This alternative always holds"),
    ('when = { environment = ["PROD"] }', 'when = { any = [{ unless = "large" }] }', "'unless' is not known here"),
    ('when = { environment = ["PROD"] }', 'when = { unless = "nobody" }', "unless names 'nobody'"),
    ('when = { environment = ["PROD"] }', 'when = { unless = "prod" }', "unless leads from prod back to itself"),
    ("distinct = 2", "distinct = 21", "distinct must be a whole number from 1 to 20"),
    ("distinct = 2", "auto = true", "Rule prod is automatic, so nobody is asked. Take require away"),
    ('"security", count = 1', '"securty", count = 1', "group names 'securty'"),
    ('"security", count = 1', '"approvers", count = 1', "The rule asks for approvers twice"),
    ('"security", count = 1', '"security", count = 0', "count must be a whole number from 1 to 20"),
    ('after = "1bd", do = "remind"', 'after = "1bd", do = "approve"', "do must be one of remind, add"),
    ('after = "1bd", do = "remind"', 'do = "remind"', "A step needs a time"),
    ('after = "1bd", do = "remind"', 'after = "1bd"', "A step needs do"),
    ('after = "1bd", do = "remind"', 'after = "1bd", do = "remind", group = "leads"', "A reminder goes to those who are asked"),
    ('do = "add", group = "leads"', 'do = "add"', "Write group"),
    ('do = "add", group = "leads"', 'do = "add", group = "security"', "asks for security from the start"),
]


@pytest.mark.parametrize(("good", "bad", "reason"), FAULTS, ids=[each[1][:40] or each[2] for each in FAULTS])
def test_a_fault_is_named_with_its_line_and_its_reason(good: str, bad: str, reason: str) -> None:
    text = HEAD + PROD + LARGE
    assert text.count(good) == 1, "the test means one place"
    found = broken(text.replace(good, bad))
    matching = [line for line, said in found if reason in said]
    where = line_of(text, good)
    assert matching, found
    # what is missing, doubled or contradicted is told at what it belongs to
    around = (line_of(text, part) for part in ("[[rule]]", 'id = "large"', "require", "escalate"))
    assert set(matching) <= {where, where + 1, *around}
    assert len(found) <= 2, found


def test_every_fault_of_a_file_is_told_at_once_in_the_order_of_its_lines() -> None:
    text = (HEAD + PROD).replace('"2bd"', '"soon"').replace('"leads"\n', '"nobody"\n').replace('["PROD"]', '["LIVE"]')
    assert [line for line, _ in broken(text)] == [3, 4, line_of(text, '["LIVE"]')]
    with pytest.raises(PolicyBroken, match=re.compile(r"^policy\.toml, line 3: .*\npolicy\.toml, line 4: .*\n", re.MULTILINE)):
        read_policy(text, "policy.toml")


def test_text_that_is_not_toml_is_refused_at_its_line() -> None:
    assert broken(HEAD + "[[rule]\n") == [
        (HEAD.count("\n") + 1, "This is not TOML: Expected ']]' at the end of an array declaration.")
    ]
    assert broken("schema = [1,\n2,\n")[0][0] == 3


def test_rules_that_exclude_each_other_have_no_meaning() -> None:
    first = PROD.replace('when = { environment = ["PROD"] }', 'when = { unless = "large" }')
    second = LARGE.replace("when = {", 'when = { unless = ["prod"],')
    assert any("unless leads from prod back to itself" in reason for _, reason in broken(HEAD + first + second))


def test_an_automatic_rule_does_not_look_at_modules() -> None:
    """It would let an application through that asks for other modules besides."""
    for how in ("when = { ", "when = { any = [{ agents_max = 5 }, { modules = ['x'] }], "):
        text = HEAD + NONPROD + DEV_SMALL.replace("when = { ", how + ("modules = ['x'], " if "any" not in how else ""))
        (found,) = broken(text)
        assert found[0] == line_of(text, 'text = "DEV') + 1
        assert "automatic and must not look at modules" in found[1]


def test_an_automatic_rule_that_reaches_production_is_refused() -> None:
    text = HEAD + PROD + NONPROD + DEV_SMALL.replace('environment = ["DEV"], ', "")
    (found,) = broken(text)
    assert found[0] == line_of(text, '[[rule]]\nid = "dev-small"')
    assert "Rule dev-small is automatic and reaches PROD (PROD, new, standard, 1 user" in found[1]


def test_an_application_that_no_rule_covers_needs_a_fallback() -> None:
    text = (HEAD + PROD + LARGE).replace('fallback = "leads"\n', "")
    ((line, reason),) = broken(text)
    assert (line, "No rule applies to DEV, new, standard, 1 user, 1 agent, 1 day." in reason) == (1, True)
    assert policy(PROD, LARGE).fallback == "leads"


def test_thresholds_without_end_are_refused_before_they_are_walked() -> None:
    rules = "".join(
        LARGE.replace('id = "large"', f'id = "large-{each}"')
        .replace("users_min = 501", f"users_min = {each + 2}, days_max = {each + 1}")
        .replace("agents_min = 51", f"agents_min = {each + 2}")
        for each in range(80)
    )
    assert "too many to check them all" in broken(HEAD + rules)[0][1]


@pytest.mark.parametrize(
    "path",
    [ROOT / "workflow" / "policy.toml", *sorted((ROOT / "examples" / "policies").glob("*.toml"))],
    ids=lambda path: path.name,
)
def test_the_policies_that_are_shipped_can_be_used(path: Path) -> None:
    assert read_policy(path.read_text(encoding="utf-8"), path.name).rules
