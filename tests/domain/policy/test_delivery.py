"""How licenses are handed over, as a policy file says it: per environment, and what it does not say stays as it was."""

import pytest

from tests.domain.policy.written import HEAD, PROD
from workflow.domain.policy import DeliveryRule, PolicyBroken, read_policy
from workflow.domain.terms import EnvironmentName


def terms(text: str, environment: EnvironmentName = EnvironmentName.PROD) -> DeliveryRule:
    return read_policy(HEAD + PROD + REST + text, "policy.toml").delivery_to(environment)


REST = """
[[rule]]
id = "others"
text = "DEV and UAT: one approver"
when = { environment = ["DEV", "UAT"] }
require = [{ group = "approvers", count = 1 }]
"""


def test_without_a_table_a_code_is_enough_and_so_is_one_recipient() -> None:
    assert terms("") == DeliveryRule(EnvironmentName.PROD, portal_code=True, delivered_when=1)


@pytest.mark.parametrize(("written", "meant"), [('"any"', 1), ('"all"', None), ("2", 2), ("20", 20)])
def test_how_many_must_have_it(written: str, meant: int | None) -> None:
    assert terms(f"[delivery.PROD]\ndelivered_when = {written}\n").delivered_when == meant


def test_each_environment_has_its_own() -> None:
    text = '[delivery.PROD]\nportal_code = false\n[delivery.UAT]\ndelivered_when = "all"\n'
    assert (terms(text).portal_code, terms(text).delivered_when) == (False, 1)
    assert (terms(text, EnvironmentName.UAT).portal_code, terms(text, EnvironmentName.UAT).delivered_when) == (True, None)
    assert terms(text, EnvironmentName.DEV) == DeliveryRule(EnvironmentName.DEV)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[delivery.PRDO]\nportal_code = false", "Did you mean PROD"),
        ("[delivery.PROD]\nportal_cod = false", "Did you mean portal_code"),
        ("[delivery.PROD]\nportal_code = 0", "portal_code must be true or false"),
        *(
            (f"[delivery.PROD]\ndelivered_when = {each}", "delivered_when")
            for each in ('"some"', "0", "21", "true", "[1]", "1.0")
        ),
        ("[delivery]\nPROD = 3", "PROD must be a table"),
    ],
)
def test_what_cannot_be_used_stops_the_start_with_the_line(text: str, said: str) -> None:
    with pytest.raises(PolicyBroken, match=said):
        terms(text)


def test_what_it_says_is_part_of_the_policy() -> None:
    plain = read_policy(HEAD + PROD + REST, "policy.toml")
    for each in ("portal_code = false", 'delivered_when = "all"', "delivered_when = 2"):
        assert read_policy(f"{HEAD}{PROD}{REST}[delivery.PROD]\n{each}\n", "policy.toml").sha256 != plain.sha256


@pytest.mark.parametrize(
    ("delivered_when", "having", "total", "enough"),
    [
        (1, 1, 3, True),
        (1, 0, 3, False),
        (None, 2, 3, False),
        (None, 3, 3, True),
        (2, 1, 3, False),
        (2, 2, 3, True),
        (5, 2, 2, True),
    ],
)
def test_enough_is_counted(delivered_when: int | None, having: int, total: int, enough: bool) -> None:
    assert DeliveryRule(EnvironmentName.PROD, delivered_when=delivered_when).is_enough(having, total) is enough
