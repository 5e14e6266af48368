"""From the text of a policy file to a `Policy`, or to one fault for everything that is wrong with it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, time
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

from workflow.domain.policy.calendar import BusinessTime, Calendar
from workflow.domain.policy.canonical import SCHEMA, policy_sha256
from workflow.domain.policy.lint import faults
from workflow.domain.policy.matching import FALLBACK
from workflow.domain.policy.source import Fault, Path, PolicyBroken, Source
from workflow.domain.policy.values import (
    Ask,
    Conditions,
    DeliveryRule,
    Encryption,
    Group,
    Policy,
    Range,
    Rule,
    Step,
    StepKind,
    When,
)
from workflow.domain.roles import Role
from workflow.domain.terms import MAX_ADDRESS, MAX_COUNT, EnvironmentName, LicenseKind, RequestType, is_time_zone

MOST_PEOPLE = 20
"""More different people than any approval can wait for."""
MAX_TEXT = 200

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPANS = tuple(f"{what}_{end}" for what in ("users", "agents", "days") for end in ("min", "max"))
_CONDITIONS = ("environment", *_SPANS, "modules", "model_types", "request", "kind", "widens")
_Word = TypeVar("_Word", bound=StrEnum)


def read_policy(text: str, name: str) -> Policy:
    """The policy stated in `text`; `name` is the file's, for the messages. Raises PolicyBroken, naming every fault with its
    line: what is no TOML or no policy, an automatic rule that reaches PROD, a combination without a rule.
    """
    source = Source(text, name)
    reader = _Reader(source)
    policy = reader.policy()
    if not reader.faults:
        reader.faults.extend(faults(policy))
    if reader.faults:
        raise PolicyBroken(name, reader.faults)
    return replace(policy, sha256=policy_sha256(policy))


class _Reader:
    """Reads values by their path and collects faults; what cannot be read is left at its default."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults: list[Fault] = []

    def policy(self) -> Policy:
        document = self.source.document
        self.known(document, (), ("schema", "defaults", "calendar", "groups", "delivery", "rule"))
        if document.get("schema") != SCHEMA or isinstance(document.get("schema"), bool):
            self.fault(("schema",), f"Write schema = {SCHEMA}: the form of policy this release reads.")
        defaults = self.table(document, (), "defaults")
        self.known(defaults, ("defaults",), ("respond_within", "fallback"))
        groups = self.groups(self.table(document, (), "groups"))
        names = frozenset(each.name for each in groups)
        rules = self.rules(names)
        return Policy(
            name=self.source.name,
            groups=groups,
            rules=rules,
            calendar=self.calendar(self.table(document, (), "calendar")),
            respond_within=self.business_time(defaults, ("defaults",), "respond_within"),
            delivery=self.deliveries(self.table(document, (), "delivery")),
            fallback=self.group(defaults, ("defaults",), "fallback", names) if "fallback" in defaults else None,
        )

    # Tables of the file

    def groups(self, table: Mapping[str, Any]) -> tuple[Group, ...]:
        groups: list[Group] = []
        for name in table:
            path: Path = ("groups", name)
            row = self.table(table, ("groups",), name)
            self.known(row, path, ("role", "users"))
            if not _NAME.fullmatch(name):
                self.fault(path, f"The group name {name!r} needs small letters, digits, - and _ only, a letter first.")
            if ("role" in row) == ("users" in row):
                self.fault(path, f'The group {name} needs a role or users, for example {{ role = "approver" }}.')
            role = next(iter(self.choices(row, path, "role", Role, several=False) or ()), None)
            users = self.texts(row, path, "users")
            for each in users:
                if not _ADDRESS.fullmatch(each) or len(each) > MAX_ADDRESS:
                    self.fault((*path, "users"), f"{each!r} is no e-mail address.")
            groups.append(Group(name, role, tuple(each.lower() for each in users)))
        if not groups:
            self.fault(("groups",), "The policy has no group. Name at least one in [groups].")
        return tuple(groups)

    def calendar(self, table: Mapping[str, Any]) -> Calendar:
        path: Path = ("calendar",)
        self.known(table, path, ("timezone", "weekend", "holidays", "workdays", "hours"))
        zone = self.text(table, path, "timezone", "UTC")
        if not is_time_zone(zone):
            self.fault((*path, "timezone"), f"{zone!r} is no time zone. Write a name such as Asia/Shanghai.")
            zone = "UTC"
        weekend = self.texts(table, path, "weekend") if "weekend" in table else ("sat", "sun")
        for each in weekend:
            if each not in _WEEKDAYS:
                self.fault((*path, "weekend"), f"{each!r} is no weekday. Write {', '.join(_WEEKDAYS)}.")
        holidays, workdays = self.days(table, "holidays"), self.days(table, "workdays")
        for day in sorted(holidays & workdays):
            self.fault((*path, "workdays"), f"{day} is a holiday and a make-up day. Keep one of them.")
        if set(weekend) >= set(_WEEKDAYS):
            self.fault((*path, "weekend"), "No weekday is left to work on.")
        opens, closes = self.hours(table)
        return Calendar(
            time_zone=zone,
            weekend=frozenset(_WEEKDAYS.index(each) for each in weekend if each in _WEEKDAYS),
            holidays=holidays,
            workdays=workdays,
            opens=opens,
            closes=closes,
        )

    def deliveries(self, table: Mapping[str, Any]) -> tuple[DeliveryRule, ...]:
        self.known(table, ("delivery",), tuple(EnvironmentName))
        return tuple(self.delivery(table, each) for each in EnvironmentName if each.value in table)

    def delivery(self, table: Mapping[str, Any], environment: EnvironmentName) -> DeliveryRule:
        path: Path = ("delivery", environment.value)
        row = self.table(table, ("delivery",), environment.value)
        self.known(row, path, ("encryption", "portal_code", "delivered_when"))
        chosen = self.choices(row, path, "encryption", Encryption, several=False)
        encryption = next(iter(chosen or ()), Encryption.PORTAL_ALLOWED)
        if encryption is Encryption.END_TO_END and "portal_code" in row:
            self.fault((*path, "portal_code"), "With end_to_end nothing goes through the portal. Take portal_code away.")
        code = self.flag(row, path, "portal_code")
        return DeliveryRule(environment, encryption, code if code is not None else True, self.delivered_when(row, path))

    def delivered_when(self, row: Mapping[str, Any], path: Path) -> int | None:
        written = row.get("delivered_when", "any")
        if written == "all":
            return None
        if isinstance(written, int) and not isinstance(written, bool) and 1 <= written <= MOST_PEOPLE:
            return written
        if written != "any":
            self.fault((*path, "delivered_when"), f'Write delivered_when = "any", "all", or a number from 1 to {MOST_PEOPLE}.')
        return 1

    def rules(self, groups: frozenset[str]) -> tuple[Rule, ...]:
        rows = self.source.document.get("rule", [])
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            self.fault(("rule",), "Write each rule as a table of its own that starts with [[rule]].")
            return ()
        ids = [row.get("id") for row in rows]
        rules = tuple(self.rule(row, ("rule", at), groups) for at, row in enumerate(rows))
        known = {rule.id: rule for rule in rules}
        for at, rule in enumerate(rules):
            if rule.id and ids.index(rule.id) < at:
                self.fault(("rule", at, "id"), f"Two rules are called {rule.id}. Give each its own id.")
            for other in rule.when.unless:
                if other not in known:
                    self.fault(("rule", at, "when", "unless"), f"unless names {other!r}, and no rule has that id.")
            if _reaches(rule.id, rule, known, frozenset()):
                self.fault(
                    ("rule", at, "when", "unless"), f"unless leads from {rule.id} back to itself, so neither has a meaning."
                )
        return rules

    def rule(self, row: Mapping[str, Any], path: Path, groups: frozenset[str]) -> Rule:
        self.known(row, path, ("id", "text", "when", "require", "distinct", "auto", "respond_within", "escalate"))
        id_ = self.text(row, path, "id", "")
        if not _NAME.fullmatch(id_) or id_ == FALLBACK:
            wanted = (
                "needs an id of small letters, digits, - and _, a letter first" if id_ != FALLBACK else "may not be called so"
            )
            self.fault((*path, "id"), f"A rule {wanted}.")
        words = self.text(row, path, "text", "").strip()
        if not words or len(words) > MAX_TEXT:
            self.fault((*path, "text"), f"Rule {id_} needs a text of up to {MAX_TEXT} characters: approvers read it.")
        when = self.when(self.table(row, path, "when"), (*path, "when"))
        require = self.asks(row, path, groups)
        auto = self.flag(row, path, "auto") or False
        most = max((each.count for each in require), default=1)
        distinct = self.number(row, path, "distinct", MOST_PEOPLE) or most
        escalate = self.steps(row, path, groups)
        if distinct < most:
            self.fault(
                (*path, "distinct"),
                f"{most} of one group are {most} different people already. Take distinct away, or raise it.",
            )
        if auto:
            for key in ("require", "distinct", "escalate", "respond_within"):
                if key in row:
                    self.fault((*path, key), f"Rule {id_} is automatic, so nobody is asked. Take {key} away, or auto.")
            for at, each in enumerate((when.all_of, *when.any_of)):
                if each.modules is not None or each.model_types is not None:
                    where = (*path, "when", "any", at - 1) if at else (*path, "when")
                    reason = "it would also pass whatever is applied for besides. Let another rule ask for people by module."
                    self.fault(where, f"Rule {id_} is automatic and must not look at modules or model types: {reason}")
        elif not require:
            self.fault(path, f"Rule {id_} asks for nobody. Write require, or auto = true.")
        for step in escalate:
            if step.group is not None and step.group in {each.group for each in require}:
                self.fault((*path, "escalate"), f"Rule {id_} asks for {step.group} from the start. Add another group.")
        wait = self.business_time(row, path, "respond_within")
        return Rule(id_, words, when, require, distinct, auto, wait, escalate, line=self.source.line(path))

    def when(self, table: Mapping[str, Any], path: Path) -> When:
        self.known(table, path, (*_CONDITIONS, "any", "unless"))
        branches = self.tables(table, path, "any")
        for at, row in enumerate(branches):
            self.known(row, (*path, "any", at), _CONDITIONS)
            if not row:
                self.fault((*path, "any", at), "This alternative always holds. Write a condition, or take any away.")
        unless = table.get("unless", [])
        return When(
            all_of=self.conditions(table, path),
            any_of=tuple(self.conditions(row, (*path, "any", at)) for at, row in enumerate(branches)),
            unless=(unless,) if isinstance(unless, str) else self.texts(table, path, "unless"),
        )

    def conditions(self, table: Mapping[str, Any], path: Path) -> Conditions:
        codes = {key: frozenset(self.texts(table, path, key)) if key in table else None for key in ("modules", "model_types")}
        for key, chosen in codes.items():
            if chosen is not None and not chosen:
                self.fault((*path, key), f"{key} names nothing, so the rule would never apply.")
        return Conditions(
            environments=self.choices(table, path, "environment", EnvironmentName),
            users=self.span(table, path, "users"),
            agents=self.span(table, path, "agents"),
            days=self.span(table, path, "days"),
            modules=codes["modules"],
            model_types=codes["model_types"],
            requests=self.choices(table, path, "request", RequestType),
            kinds=self.choices(table, path, "kind", LicenseKind),
            widens=self.flag(table, path, "widens"),
        )

    def asks(self, row: Mapping[str, Any], path: Path, groups: frozenset[str]) -> tuple[Ask, ...]:
        asks: list[Ask] = []
        for at, each in enumerate(self.tables(row, path, "require")):
            where = (*path, "require", at)
            self.known(each, where, ("group", "count"))
            ask = Ask(self.group(each, where, "group", groups), self.number(each, where, "count", MOST_PEOPLE) or 1)
            if any(ask.group == other.group for other in asks):
                self.fault(where, f"The rule asks for {ask.group} twice. Write one entry with the count you mean.")
            asks.append(ask)
        return tuple(asks)

    def steps(self, row: Mapping[str, Any], path: Path, groups: frozenset[str]) -> tuple[Step, ...]:
        steps: list[Step] = []
        for at, each in enumerate(self.tables(row, path, "escalate")):
            where = (*path, "escalate", at)
            self.known(each, where, ("after", "do", "group"))
            after = self.business_time(each, where, "after")
            do = next(iter(self.choices(each, where, "do", StepKind, several=False) or ()), None)
            if after is None and "after" not in each:
                self.fault(where, 'A step needs a time, for example after = "1bd".')
            if do is None and "do" not in each:
                self.fault(where, 'A step needs do = "remind" or do = "add".')
            if do is StepKind.REMIND and "group" in each:
                self.fault(where, "A reminder goes to those who are asked. Take group away, or write add.")
            if after is not None and do is not None:
                steps.append(Step(after, do, self.group(each, where, "group", groups) if do is StepKind.ADD else None))
        return tuple(steps)

    # Single values

    def fault(self, path: Path, reason: str) -> None:
        self.faults.append(Fault(self.source.line(path), reason))

    def known(self, table: Mapping[str, Any], path: Path, names: tuple[str, ...]) -> None:
        for key in table:
            if key not in names:
                close = get_close_matches(key, names, 1)
                hint = f"Did you mean {close[0]}?" if close else f"Known are {', '.join(names)}."
                self.fault((*path, key), f"{key!r} is not known here. {hint}")

    def table(self, table: Mapping[str, Any], path: Path, key: str) -> Mapping[str, Any]:
        value = table.get(key, {})
        if isinstance(value, Mapping):
            return value
        self.fault((*path, key), f"{key} must be a table.")
        return {}

    def tables(self, table: Mapping[str, Any], path: Path, key: str) -> list[Mapping[str, Any]]:
        value = table.get(key, [])
        if isinstance(value, list) and all(isinstance(each, Mapping) for each in value) and (value or key not in table):
            return value
        self.fault((*path, key), f"{key} must be a list of tables, for example {key} = [{{ ... }}].")
        return []

    def text(self, table: Mapping[str, Any], path: Path, key: str, default: str) -> str:
        value = table.get(key, default)
        if isinstance(value, str):
            return value
        self.fault((*path, key), f"{key} must be text in quotes.")
        return default

    def texts(self, table: Mapping[str, Any], path: Path, key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        self.fault((*path, key), f"{key} must be a list of texts.")
        return ()

    def group(self, table: Mapping[str, Any], path: Path, key: str, groups: frozenset[str]) -> str:
        value = self.text(table, path, key, "")
        if value not in groups:
            hint = f"[groups] has {', '.join(sorted(groups))}." if groups else "[groups] is empty."
            self.fault((*path, key), f"{key} names {value!r}, and no group is called so. {hint}" if value else f"Write {key}.")
        return value

    def flag(self, table: Mapping[str, Any], path: Path, key: str) -> bool | None:
        value = table.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.fault((*path, key), f"{key} must be true or false.")
        return None

    def number(self, table: Mapping[str, Any], path: Path, key: str, most: int = MAX_COUNT) -> int | None:
        value = table.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most:
            return value
        self.fault((*path, key), f"{key} must be a whole number from 1 to {most:,}.")
        return None

    def span(self, table: Mapping[str, Any], path: Path, what: str) -> Range:
        found = Range(self.number(table, path, f"{what}_min"), self.number(table, path, f"{what}_max"))
        if found.least is not None and found.most is not None and found.least > found.most:
            self.fault((*path, f"{what}_min"), f"{what}_min is above {what}_max, so the rule would never apply.")
        return found

    def choices(
        self, table: Mapping[str, Any], path: Path, key: str, kind: type[_Word], *, several: bool = True
    ) -> frozenset[_Word] | None:
        if key not in table:
            return None
        value = table[key]
        written = value if several and isinstance(value, list) and value else [value]
        known = {each.value: each for each in kind}
        chosen = [known[each] for each in written if isinstance(each, str) and each in known]
        if len(chosen) == len(written):
            return frozenset(chosen)
        expected = f"{'one or more' if several else 'one'} of {', '.join(known)}"
        self.fault((*path, key), f"{key} must be {expected}.")
        return None

    def business_time(self, table: Mapping[str, Any], path: Path, key: str) -> BusinessTime | None:
        if key not in table:
            return None
        try:
            return BusinessTime.read(self.text(table, path, key, "1bd"))
        except ValueError as error:
            self.fault((*path, key), str(error))
            return None

    def days(self, table: Mapping[str, Any], key: str) -> frozenset[date]:
        value = table.get(key, [])
        days: set[date] = set()
        for at, each in enumerate(value if isinstance(value, list) else [value]):
            try:
                days.add(each if type(each) is date else date.fromisoformat(each))
            except (TypeError, ValueError):
                self.fault(("calendar", key, at), f"{key} must be days such as 2027-01-01.")
        return frozenset(days)

    def hours(self, table: Mapping[str, Any]) -> tuple[time, time]:
        standard = (Calendar.opens, Calendar.closes)
        if "hours" not in table:
            return standard
        value = table["hours"]
        try:
            opens, closes = (each if isinstance(each, time) else time.fromisoformat(each) for each in value)
            if opens.tzinfo is None and closes.tzinfo is None and opens < closes:
                return opens, closes
        except (TypeError, ValueError):
            pass
        self.fault(("calendar", "hours"), 'hours must be opening and closing time, for example ["09:00", "18:00"].')
        return standard


def _reaches(target: str, rule: Rule, known: Mapping[str, Rule], seen: frozenset[str]) -> bool:
    """Whether following `unless` leads back to `target`."""
    return any(
        other == target or (other in known and other not in seen and _reaches(target, known[other], known, seen | {other}))
        for other in rule.when.unless
    )
