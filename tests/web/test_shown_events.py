"""Everything that can happen has a sentence of its own, on the history panel and on the audit page."""

import ast
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.builders import NOW
from workflow.db.tables import EventRow
from workflow.domain import events
from workflow.domain.events import Event, SystemFact
from workflow.services.trail import Line
from workflow.web.desk.shown.activity import entry
from workflow.web.desk.shown.audit import FACTS, row

WORKFLOW = Path(events.__file__).parents[1]
KINDS = [
    each
    for each in vars(events).values()
    if isinstance(each, type) and issubclass(each, Event) and each not in (Event, SystemFact)
]
SAMPLES: dict[str, Any] = {"str": "said", "int": 7, "bool": True, "list": ["said"]}


def stored(kind: type[Event], **changes: Any) -> EventRow:
    said = {each.name: SAMPLES.get(getattr(each.type, "__name__", "")) for each in fields(kind)} | changes
    return EventRow(
        type=kind.type,
        payload=json.dumps(said),
        at=NOW,
        actor="person:x",
        actor_name="Lin Mei",
        channel="web",
        stream="x",
        sequence=1,
        previous="",
        hash="0" * 64,
    )


def names_of_facts() -> set[str]:
    """The first argument of every `SystemFact(…)` in the source; a variable stands for the texts assigned to it there."""
    found: set[str] = set()
    for path in WORKFLOW.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
        for call in (each for each in calls if isinstance(each.func, ast.Name) and each.func.id == "SystemFact"):
            what = call.args[0]
            if isinstance(what, ast.Name):
                named = [
                    each.value
                    for each in ast.walk(tree)
                    if isinstance(each, ast.Assign) and ast.dump(each.targets[0]) == ast.dump(ast.Name(what.id, ast.Store()))
                ]
                assert named, f"{path.name}: say in plain text what {what.id} can be"
                what = ast.Tuple(named)
            found |= {each.value for each in ast.walk(what) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_each_kind_of_event_has_a_sentence(kind: type[Event]) -> None:
    title = entry(stored(kind)).title
    assert kind.type not in title, "that is what an unknown event is called"
    assert title[0].isupper() or title.startswith("Lin Mei")


def test_each_fact_of_the_desk_has_words_and_no_words_are_left_over() -> None:
    assert names_of_facts() == set(FACTS)


@pytest.mark.parametrize("what", sorted(FACTS))
def test_the_audit_page_says_what_happened_at_the_desk(what: str) -> None:
    shown = row(Line(stored(SystemFact, what=what, subject="x", detail="lin@desk.example"), "", ""))
    assert shown.title == f"{FACTS[what]}: lin@desk.example"
