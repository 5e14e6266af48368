"""People as pages show them: the browsers they use, and whether they can sign in."""

import re

from workflow.db.tables import Person
from workflow.web.desk.shown.states import Badge

_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"))


def browser_words(user_agent: str) -> str:
    """Firefox on Windows: enough for a person to know their own browsers apart. What it says proves nothing."""
    browser = next((words for mark, words in _BROWSERS if mark in user_agent), "")
    system = next((words for mark, words in _SYSTEMS if mark in user_agent), "Linux" if "Linux" in user_agent else "")
    if browser and system:
        return f"{browser} on {system}"
    program = re.match(r"[A-Za-z][\w.-]{0,30}", user_agent, re.ASCII)
    return browser or system or (program[0] if program else "Unknown browser")


def person_badge(person: Person) -> Badge:
    """Whether somebody can sign in."""
    if person.disabled_at is not None:
        return Badge("Disabled", "", "ban")
    if person.password_hash is None:
        return Badge("Invited", "info", "mail")
    return Badge("Active", "ok", "circle-check")
