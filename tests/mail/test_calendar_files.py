"""Calendar files of letters, read by a parser: one entry for all versions, on the right day, gone when it is called back."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from icalendar import Calendar, Component

from workflow.mail import letters
from workflow.mail.messages import Attachment
from workflow.mail.rendering import Reader
from workflow.mail.samples import APPLICATION, DESK, ISSUED, MOMENT, REASON, every_letter

READER = Reader("张伟", "zh")


def reminder(**changes: object) -> Attachment:
    issued = replace(ISSUED, **changes)  # type: ignore[arg-type]  # of the fields' types
    (file,) = letters.expiry_reminder(READER, issued, 7, DESK, written_at=MOMENT).attachments
    return file


def event_of(file: Attachment) -> Component:
    (event,) = Calendar.from_ical(file.content).walk("VEVENT")
    return event


def sequence_of(event: Component) -> int:
    return int(event.decoded("sequence"))


def test_a_reminder_brings_the_last_usable_day_as_a_whole_day() -> None:
    file = reminder()
    assert (file.name, file.media_type) == ("PROD-7K3QM-X2V9D-4HTRB.ics", "text/calendar; charset=utf-8; method=PUBLISH")
    calendar, event = Calendar.from_ical(file.content), event_of(file)
    assert (calendar["VERSION"], calendar["METHOD"]) == ("2.0", "PUBLISH")
    assert (event.decoded("dtstart"), event.decoded("dtend")) == (date(2027, 3, 31), date(2027, 4, 1))
    assert event["DTSTART"].params["VALUE"] == "DATE"
    assert event.decoded("dtstamp") == MOMENT
    assert str(event["ORGANIZER"]) == f"mailto:{DESK.mailbox}"
    assert str(event["SUMMARY"]) == "Harbourline Logistics Co., Ltd. PROD 许可证：最后可用日"
    assert "2027年3月31日（Asia/Shanghai）" in str(event["DESCRIPTION"])
    assert event["TRANSP"] == "TRANSPARENT", "it makes nobody busy"


def test_it_rings_a_week_and_a_day_before() -> None:
    alarms = event_of(reminder()).walk("VALARM")
    assert [each.decoded("trigger") for each in alarms] == [timedelta(days=-7), timedelta(days=-1)]
    assert {each["ACTION"] for each in alarms} == {"DISPLAY"}


def test_lines_are_folded_by_octets_and_never_within_a_character() -> None:
    file = reminder(company="哈伯莱恩物流有限公司" * 12)
    lines = file.content.split(b"\r\n")
    assert lines[-1] == b""
    assert max(map(len, lines)) <= 75
    assert all(line.decode("utf-8") is not None for line in lines)
    assert any(line.startswith(b" ") for line in lines)
    assert "哈伯莱恩物流有限公司" * 12 in str(event_of(file)["SUMMARY"])


@pytest.mark.parametrize("company", ["A, B; C\\D", "two\r\nlines\nBEGIN:VALARM", 'x"y:z'])
def test_what_people_typed_stays_text(company: str) -> None:
    event = event_of(reminder(company=company))
    assert len(event.walk("VALARM")) == 2
    assert company.split("\n")[0].split("\r")[0] in str(event["SUMMARY"])


def test_a_later_version_moves_the_entry_and_keeps_its_identity() -> None:
    before = event_of(reminder())
    renewed = replace(ISSUED, version=4, replaces_version=3, last_day=date(2028, 3, 31))
    (file,) = letters.activated(READER, APPLICATION, renewed, MOMENT, None, DESK).attachments
    after = event_of(file)
    assert after["UID"] == before["UID"] == "last-day-PROD-7K3QM-X2V9D-4HTRB@desk.serviceme.example"
    assert sequence_of(after) > sequence_of(before)
    assert after.decoded("dtstart") == date(2028, 3, 31)
    assert event_of(reminder(license_id="PROD-00000-00000-00000"))["UID"] != before["UID"]


def test_a_first_version_moves_nothing() -> None:
    first = replace(ISSUED, version=1, replaces_version=None)
    assert letters.activated(READER, APPLICATION, first, MOMENT, None, DESK).attachments == ()


def test_a_license_called_back_leaves_the_calendar_if_it_was_there() -> None:
    (file,) = letters.revoked(READER, ISSUED, REASON, None, DESK.url, DESK, called_back_at=MOMENT).attachments
    calendar, event = Calendar.from_ical(file.content), event_of(file)
    assert calendar["METHOD"] == "CANCEL"
    assert file.media_type.endswith("method=CANCEL")
    assert (event["STATUS"], event["UID"]) == ("CANCELLED", event_of(reminder())["UID"])
    later = event_of(reminder(version=4))
    assert sequence_of(event_of(reminder())) < sequence_of(event) < sequence_of(later)
    assert event.walk("VALARM") == []
    assert letters.revoked(READER, ISSUED, REASON, None, DESK.url, DESK).attachments == ()


def test_which_letters_bring_one() -> None:
    carried = [(name, each) for name, letter in every_letter().items() for each in letter.attachments]
    bringing = {name.split("-")[0] for name, each in carried if each.name.endswith(".ics")}
    assert bringing == {"expiry_reminder", "activated", "revoked"}
