"""Where things stand in a TOML text, however it is laid out."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.domain.policy.source import Path, Source

TEXT = '''\
# a comment with [brackets] and "quotes
schema = 1
"quoted key" . inner = "a # no comment" # a comment
long = """
two "quotes" and \\""" more
"""
literal = \'\'\'\'it\'s\'\'\'\'

[defaults] # [not.this]
days = [ # ] not yet
  1,

  [2, 3], # ,
]
[[rule]]
when = { any = [{ users_min = 1 },
  { agents_min = 2 }], "odd, key" = "}" }
[rule.deeper]
value = 1979-05-27T07:32:00Z
[[rule.step]]
do = 'x'
[[rule.step]]
do = "y"
[[rule]]
id = "second"
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("schema",), 2),
        (("quoted key", "inner"), 3),
        (("long",), 4),
        (("literal",), 7),
        (("defaults",), 9),
        (("defaults", "days"), 10),
        (("defaults", "days", 0), 11),
        (("defaults", "days", 1, 1), 13),
        (("rule", 0), 15),
        (("rule", 0, "when", "any", 0, "users_min"), 16),
        (("rule", 0, "when", "any", 1, "agents_min"), 17),
        (("rule", 0, "when", "odd, key"), 17),
        (("rule", 0, "deeper", "value"), 19),
        (("rule", 0, "step", 0, "do"), 21),
        (("rule", 0, "step", 1), 22),
        (("rule", 1, "id"), 25),
        (("rule", 1, "nothing", "here"), 24),
        (("nowhere",), 1),
    ],
)
def test_a_value_is_found_on_its_line(path: Path, line: int) -> None:
    assert Source(TEXT, "policy.toml").line(path) == line


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*at, key)
        yield from paths(child, (*at, key))


def test_everything_in_a_document_has_a_line_of_its_own_or_that_of_what_holds_it() -> None:
    source = Source(TEXT, "policy.toml")
    for path in paths(source.document):
        assert source.line(path) > 1, path


@given(st.text(alphabet="[]{}=,.\"'#\\\n ab1-:", max_size=60))
def test_whatever_is_toml_can_be_located(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    source = Source(text, "policy.toml")
    for path in paths(source.document):
        assert 1 <= source.line(path) <= text.count("\n") + 1
