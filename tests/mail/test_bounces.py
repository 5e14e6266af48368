"""Reading what came back: reports with fields, reports in prose, and whatever else reaches an open port."""

import pytest

from tests.mail.reports import GARBAGE, RECIPIENT, REFUSED, absence, nested, prose, report
from workflow.domain.bounces import Verdict
from workflow.mail.bounces import addressed_in, read


def test_a_report_says_what_failed_why_and_who_says_so() -> None:
    said = read(report(envelope_id="token.mac", to="bounce+token.mac@desk.example", message_id="<ours@serviceme.example>"))
    assert said.verdict is Verdict.FAILED
    assert (said.status, said.said, said.reporter) == ("5.1.1", REFUSED, "mx.harbourline.example")
    assert (said.envelope_id, said.message_id) == ("token.mac", "<ours@serviceme.example>")
    assert said.addressed_to == ("bounce+token.mac@desk.example",)


@pytest.mark.parametrize(
    ("action", "status", "verdict"),
    [
        ("failed", "5.1.1", Verdict.FAILED),
        ("Failed (gave up)", "4.4.7", Verdict.FAILED),
        ("delayed", "4.4.1", Verdict.DELAYED),
        ("delivered", "2.0.0", Verdict.OTHER),
        ("relayed", "2.0.0", Verdict.OTHER),
        ("expanded", "2.0.0", Verdict.OTHER),
        ("exploded", "5.0.0", Verdict.OTHER),
        ("", "5.2.1", Verdict.FAILED),
        ("", "4.2.2", Verdict.DELAYED),
        ("", "", Verdict.OTHER),
    ],
)
def test_the_action_decides_and_without_one_the_status(action: str, status: str, verdict: Verdict) -> None:
    assert read(report(action=action, status=status)).verdict is verdict


@pytest.mark.parametrize("kind", ["text/rfc822-headers", "message/rfc822"])
def test_the_returned_message_is_known_by_its_header(kind: str) -> None:
    assert read(report(message_id="<ours@serviceme.example>", returned=kind)).message_id == "<ours@serviceme.example>"


def test_a_report_that_is_returned_inside_another_one_says_nothing() -> None:
    outer = absence().replace(b"Auto-Submitted: auto-replied", b"Content-Type: message/rfc822")
    assert read(outer.partition(b"\n\n")[0] + b"\n\n" + report(envelope_id="token.mac")).envelope_id == ""


def test_a_report_in_prose_is_read_by_experience_and_names_whom_it_is_about() -> None:
    said = read(prose())
    assert (said.verdict, said.names) == (Verdict.FAILED, frozenset({RECIPIENT}))
    assert "permanent error" in said.said


def test_an_absence_notice_is_no_bounce() -> None:
    assert read(absence()).verdict is Verdict.OTHER


def test_the_same_report_on_another_way_is_the_same_report() -> None:
    once = report()
    assert read(once).digest == read(b"Received: from mx by desk; later\r\nX-Spam: no\r\n" + once).digest
    assert read(once).digest != read(report(status="5.2.1")).digest


def test_the_envelope_counts_more_than_the_header() -> None:
    assert read(report(to="bounce+a.b@desk.example"), ["bounce+c.d@desk.example"]).addressed_to == ("bounce+c.d@desk.example",)
    assert addressed_in(b"Delivered-To: <bounce+a.b@desk.example>\nTo: License Desk <x@y.example>, z@y.example\n\nbody") == (
        "bounce+a.b@desk.example",
        "x@y.example",
        "z@y.example",
    )


@pytest.mark.parametrize("words", ["\x00\x1b[2J\u202e evil", "a" * 9_000, "=?x-none?B?/w==?=", "\r\n smtp; folded"])
def test_what_is_shown_is_one_line_of_visible_characters_and_bounded(words: str) -> None:
    said = read(report(diagnostic=words)).said
    assert len(said) <= 1_000
    assert said.isprintable()


@pytest.mark.parametrize("wrong", GARBAGE)
def test_garbage_is_survived_and_says_nothing(wrong: str) -> None:
    said = read(GARBAGE[wrong])
    assert said.verdict is Verdict.OTHER
    assert (said.envelope_id, said.message_id) == ("", "")
    addressed_in(GARBAGE[wrong])


@pytest.mark.parametrize("wrong", [each for each in GARBAGE if each != "parts within parts"])
def test_garbage_behind_a_good_report_changes_nothing_about_it(wrong: str) -> None:
    assert read(report(envelope_id="token.mac") + GARBAGE[wrong]).envelope_id == "token.mac"


def test_a_report_under_many_parts_is_not_dug_for() -> None:
    assert read(nested(60) + report(envelope_id="token.mac")).envelope_id == ""
