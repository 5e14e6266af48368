"""Policies as files say them, for the tests of this folder."""

from functools import cache

from workflow.domain.policy import Policy, Subject, read_policy
from workflow.domain.terms import EnvironmentName, LicenseKind, RequestType

HEAD = """\
schema = 1
[defaults]
respond_within = "2bd"
fallback = "leads"
[calendar]
timezone = "Asia/Shanghai"
[groups]
approvers = { role = "approver" }
security = { users = ["security@serviceme.example"] }
leads = { users = ["lead@serviceme.example", "Second.Lead@serviceme.example"] }
"""

DEV_SMALL = """
[[rule]]
id = "dev-small"
text = "DEV, at most 5 users and 90 days: no person needed"
when = { environment = ["DEV"], users_max = 5, days_max = 90 }
auto = true
"""
NONPROD = """
[[rule]]
id = "nonprod"
text = "Other DEV and UAT: one approver"
when = { environment = ["DEV", "UAT"], unless = "dev-small" }
require = [{ group = "approvers", count = 1 }]
"""
PROD = """
[[rule]]
id = "prod"
text = "PROD: one approver and one of security, two different people"
when = { environment = ["PROD"] }
require = [{ group = "approvers", count = 1 }, { group = "security", count = 1 }]
distinct = 2
escalate = [{ after = "1bd", do = "remind" }, { after = "3bd", do = "add", group = "leads" }]
"""
LARGE = """
[[rule]]
id = "large"
text = "More than 500 users or 50 agents: a lead as well"
when = { any = [{ users_min = 501 }, { agents_min = 51 }] }
require = [{ group = "leads", count = 1 }]
respond_within = "4bh"
"""
WIDER = """
[[rule]]
id = "wider"
text = "More than before: security looks at it"
when = { widens = true, environment = ["UAT", "PROD"] }
require = [{ group = "security", count = 1 }]
"""
FOUR = (DEV_SMALL, NONPROD, PROD, LARGE)


@cache
def policy(*rules: str, head: str = HEAD) -> Policy:
    """The policy of these rules."""
    return read_policy(head + "".join(rules), "policy.toml")


def subject(
    environment: str = "PROD",
    *,
    request: str = "new",
    kind: str = "standard",
    users: int = 100,
    agents: int = 10,
    days: int = 365,
    modules: frozenset[str] = frozenset(),
    model_types: frozenset[str] = frozenset(),
    widens: bool = True,
) -> Subject:
    """An application as rules see it."""
    return Subject(
        EnvironmentName(environment),
        RequestType(request),
        LicenseKind(kind),
        users,
        agents,
        days,
        modules,
        model_types,
        widens,
    )
