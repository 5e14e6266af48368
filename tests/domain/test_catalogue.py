"""The catalogue that operators edit: a mistake is named by its table and entry."""

from typing import Any

import pytest

from tests.builders import CATALOGUE
from workflow.domain.catalogue import CatalogueUnusable, catalogue_from

GOOD: dict[str, Any] = {
    "module": [{"code": "workflow", "name": "Workflow"}],
    "model_type": [{"code": "chat", "name": "Chat"}],
}


def test_the_shipped_catalogue_can_be_read_and_says_something_about_every_restriction() -> None:
    assert all(entry.text for entry in CATALOGUE.restrictions)


def test_restrictions_are_optional() -> None:
    assert catalogue_from(GOOD).restrictions == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"module": []}, r"no \[\[module\]\]"),
        ({"model_type": []}, r"no \[\[model_type\]\]"),
        ({"module": [{"code": "workflow"}]}, r"\[\[module\]\] number 1 needs a code and a name"),
        ({"module": [{"code": "a", "name": "A"}, {"code": "", "name": "B"}]}, "number 2 needs"),
        ({"module": [{"code": "a", "name": "A"}, {"code": "a", "name": "B"}]}, "lists 'a' twice"),
        ({"module": [{"code": 5, "name": "Five"}]}, "number 1 needs"),
        ({"module": "workflow"}, r"starts with \[\[module\]\]"),
        ({"module": {"code": "workflow", "name": "Workflow"}}, r"starts with \[\[module\]\]"),
    ],
)
def test_a_mistake_in_it_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogueUnusable, match=message):
        catalogue_from({**GOOD, **changes})


def test_a_code_that_was_dropped_is_shown_as_itself() -> None:
    assert CATALOGUE.name_of("chat") == "Chat"
    assert CATALOGUE.name_of("fax") == "fax"
