"""The calendar file of a letter: the last usable day of a license as an all-day event (RFC 5545).

All files about one License ID share a UID, so that a calendar moves its entry when a later version ends on another day, and
takes it away when the license is called back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from icalendar import Alarm, Calendar, Event, vCalAddress

from workflow.mail.messages import Attachment

ALARM_DAYS = (7, 1)


class Method(StrEnum):
    """What the reader's calendar is asked to do (RFC 5546)."""

    PUBLISH = "PUBLISH"
    CANCEL = "CANCEL"


@dataclass(frozen=True)
class Entry:
    """What the calendar shows. `version` is the license's: versions of one License ID are counted up."""

    license_id: str
    version: int
    last_day: date
    summary: str
    description: str
    url: str


def calendar_file(entry: Entry, organizer: str, desk_url: str, now: datetime, method: Method = Method.PUBLISH) -> Attachment:
    """The file, with alarms a week and a day before, at midnight where the reader is; a cancellation rings no more."""
    event = Event()
    # One UID for all versions: the last day is that of the License ID, and it moves with each version.
    event.add("uid", f"last-day-{entry.license_id}@{urlsplit(desk_url).hostname}")
    # A version may be published and later called back; both outrank the version before (RFC 5545, section 3.8.7.4).
    event.add("sequence", 2 * entry.version + (method is Method.CANCEL))
    event.add("dtstamp", now)
    # A day and no time: it is the whole day in the license's zone, whatever the zone of the reader's calendar.
    event.add("dtstart", entry.last_day)
    event.add("dtend", entry.last_day + timedelta(days=1))
    event.add("summary", entry.summary)
    event.add("description", entry.description)
    event.add("url", entry.url)
    event.add("organizer", vCalAddress(f"mailto:{organizer}"))
    event.add("transp", "TRANSPARENT")
    event.add("status", "CANCELLED" if method is Method.CANCEL else "CONFIRMED")
    if method is Method.PUBLISH:
        for days in ALARM_DAYS:
            event.add_component(_alarm(days, entry.summary))
    return Attachment(f"{entry.license_id}.ics", _written([event], method), f"text/calendar; charset=utf-8; method={method}")


def _alarm(days: int, summary: str) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", summary)
    alarm.add("trigger", timedelta(days=-days))
    return alarm


def _written(events: Sequence[Event], method: Method) -> bytes:
    calendar = Calendar()
    calendar.add("prodid", "-//License Desk//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method.value)
    for event in events:
        calendar.add_component(event)
    written: bytes = calendar.to_ical()
    return written
