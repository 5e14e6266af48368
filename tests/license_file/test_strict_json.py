"""The JSON profile: what every parser understands alike is taken, everything else is refused, and quickly."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unicodedata import decomposition, is_normalized

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workflow.license_file import MalformedLicense, canonical
from workflow.license_file.strict_json import COMPOSING_RANGE, FORBIDDEN_RANGES, MAX_DEPTH, decode

HOSTILE = {
    "open brackets": b"[" * 262_144,
    "open objects": b'{"a":' * 52_428,
    "quotes": b'"' * 262_144,
    "escaped quotes": b'{"a":"' + b'\\"' * 131_000,
    "backslashes": b'{"a":"' + b"\\" * 262_000,
    "digits": b'{"a":' + b"9" * 262_000 + b"}",
    "spaces": b" " * 262_144,
    "commas": b'{"a":[' + b"0," * 131_000 + b"0]}",
    "names": b"{" + b",".join(b'"%d":0' % n for n in range(20_000)) + b"}",
    "combining marks": b'{"a":"' + "\u0301".encode() * 131_000 + b'"}',
    "wide": b'{"a":[' + b"[]," * 80_000 + b"[]]}",
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_256_kib_of_hostile_input_cost_no_more_than_reading_them_a_few_times(raw: bytes) -> None:
    """A ratio within one run: what a busy machine slows down, it slows down for both. A depth check by regular expression
    took 110 s for such a file."""
    assert least_time(decode, raw) < 40 * least_time(json.loads, raw) + 0.02


def least_time(read: Callable[[bytes], object], raw: bytes) -> float:
    """Seconds of the quickest of three readings, refused or not."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        with suppress(MalformedLicense, ValueError, RecursionError):
            read(raw)
        times.append(time.perf_counter() - begin)
    return min(times)


def verdict(raw: bytes) -> str:
    try:
        return repr(decode(raw))
    except MalformedLicense as refused:
        return str(refused)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")), max_size=4))
def test_one_look_at_the_whole_text_sees_what_a_look_at_each_string_sees(members: dict[str, str]) -> None:
    assume("zz" not in members)
    raw = json.dumps(members, ensure_ascii=False).encode()
    # An escape makes the decoder look at each string.
    each = b'{"\\u007az":0' + (b"," if members else b"") + raw[1:]
    assert verdict(raw) == verdict(each).replace("{'zz': 0, ", "{").replace("{'zz': 0}", "{}")


@pytest.mark.parametrize(
    "point", sorted({point for ends in FORBIDDEN_RANGES for point in ends if not 0xD800 <= point <= 0xDFFF})
)
def test_every_forbidden_character_is_seen_without_an_escape(point: int) -> None:
    for text in (chr(point), f"a{chr(point)}b", f"安{chr(point)}可"):
        with pytest.raises(MalformedLicense):
            decode(b'{"a":"%b"}' % text.encode())


def test_depth_ends_at_eight_objects_or_lists() -> None:
    nested: Any = 1
    for _ in range(MAX_DEPTH - 1):
        nested = [nested]
    decode(json.dumps({"a": nested}).encode())
    with pytest.raises(MalformedLicense, match="nested deeper"):
        decode(json.dumps({"a": [nested]}).encode())
    with pytest.raises(MalformedLicense, match="nested deeper"):
        canonical({"a": [nested]})


def test_an_empty_list_counts_as_a_level() -> None:
    nested: Any = []
    for _ in range(MAX_DEPTH - 1):
        nested = [nested]
    with pytest.raises(MalformedLicense, match="nested deeper"):
        decode(json.dumps({"a": nested}).encode())


def test_exactly_the_forbidden_characters_are_refused() -> None:
    forbidden = {point for first, last in FORBIDDEN_RANGES for point in range(first, last + 1)}
    for point in [*range(0x3000), *range(0xD7F0, 0xE010), *range(0xFE00, 0x10010), *range(0xDFFF0, 0xE0090)]:
        text = json.dumps({"a": chr(point)})
        if point in forbidden or not is_normalized("NFC", chr(point)):
            with pytest.raises(MalformedLicense):
                decode(text.encode())
        else:
            assert decode(text.encode()) == {"a": chr(point)}


def test_texts_are_normalized_together_exactly_when_each_of_them_is() -> None:
    # The reader joins all texts with "|" and looks once: no character may combine with it.
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        assert is_normalized("NFC", f"|{character}") == is_normalized("NFC", character)


def test_no_character_but_the_marks_the_reader_looks_at_closely_composes_with_ascii() -> None:
    first, last = COMPOSING_RANGE
    for point in range(sys.maxunicode + 1):
        parts = decomposition(chr(point)).split()
        if len(parts) == 2 and not parts[0].startswith("<") and int(parts[0], 16) < 128:
            assert first <= int(parts[1], 16) <= last


@pytest.mark.parametrize("text", ["cafe\u0301", "a\u0327\u0301", "x\u0301安e\u0301", "<\u0338"])
def test_a_mark_that_composes_with_the_letter_before_it_is_refused(text: str) -> None:
    with pytest.raises(MalformedLicense, match="normalization form C"):
        decode(json.dumps({"a": text}, ensure_ascii=False).encode())


def test_a_text_that_starts_with_a_combining_mark_does_not_join_its_neighbor() -> None:
    assert decode(b'{"a":"\xcc\x81","b":"e"}') == {"a": "\u0301", "b": "e"}


@pytest.mark.parametrize("number", [0, 1, -1, 2**53 - 1, -(2**53) + 1])
def test_whole_numbers_up_to_2_to_the_53_are_taken(number: int) -> None:
    assert decode(json.dumps({"a": number}).encode()) == {"a": number}


@pytest.mark.parametrize("number", ["9007199254740992", "-9007199254740992", "1.5", "1e3", "-0", "NaN", "Infinity", "01"])
def test_other_numbers_are_refused(number: str) -> None:
    with pytest.raises(MalformedLicense):
        decode(f'{{"a":{number}}}'.encode())


@pytest.mark.parametrize("value", [{"a": 1.5}, {"a": 2**53}, {1: "a"}, {"a": b"x"}, {"a": object()}, {"a": "\u200b"}])
def test_nothing_is_written_that_the_reader_would_refuse(value: dict[Any, Any]) -> None:
    with pytest.raises(MalformedLicense):
        canonical(value)


def test_the_canonical_form_is_sorted_and_tight() -> None:
    assert canonical({"b": [1, None, True], "a": {"é": '"\\'}}) == '{"a":{"é":"\\"\\\\"},"b":[1,null,true]}'.encode()


members = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcde", max_size=3), inner, max_size=4),
    max_leaves=12,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@settings(deadline=None)
@given(st.dictionaries(st.text("abc", max_size=3), members, max_size=4))
def test_what_is_written_is_read_back_the_same(value: dict[str, Any]) -> None:
    assume(depth(value) <= MAX_DEPTH)
    written = canonical(value)
    assert decode(written) == value
    assert canonical(decode(written)) == written


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text().map(lambda text: json.dumps({"a": text}).encode()))
def test_any_bytes_are_read_or_refused_by_name(raw: bytes) -> None:
    with suppress(MalformedLicense):
        assert isinstance(decode(raw), dict)
