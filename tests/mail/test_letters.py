"""What people read: each letter in both forms, whole, honest about days, and safe with what others typed."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from workflow import templating
from workflow.mail import letters
from workflow.mail.rendering import Reader
from workflow.mail.samples import (
    APPLICATION,
    COMMENT,
    DESK,
    GOT_IT,
    ISSUED,
    MOMENT,
    NOTE,
    RAW,
    RENEW,
    SHA256,
    SUCCESSOR,
    every_letter,
)
from workflow.mail.wrapping import TEXT_WIDTH

LETTERS = every_letter()
ABOUT_NO_LICENSE = (
    *("portal_link", "portal_code", "invitation", "digest_decisions", "digest_troubles", "credentials_changed"),
    *("history_doubted", "test_mail"),
)
ABOUT_A_LICENSE = [name for name in LETTERS if name.split("-")[0] not in ABOUT_NO_LICENSE]


class Page(HTMLParser):
    """Its words, its links, and what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self._silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._silent += tag in ("style", "title")
        values = dict(attrs)
        if tag == "a":
            self.links.append(values.get("href") or "")
        self.loads += [values[name] or "" for name in ("src", "background", "srcset") if name in values]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def flat(text: str) -> str:
    return " ".join(text.split())


def test_there_is_a_sample_of_every_letter() -> None:
    folders = {path.parent.name for path in templating.template_directories()[-1].glob("letters/*/body.txt")}
    assert {name.split("-")[0] for name in LETTERS} == folders
    assert all(callable(getattr(letters, name)) for name in folders)


@pytest.mark.parametrize("name", LETTERS)
def test_both_forms_are_whole(name: str) -> None:
    letter = LETTERS[name]
    assert letter.subject
    assert "\n" not in letter.subject
    for form in (letter.subject, letter.text, Page(letter.html).text):
        assert "{{" not in form
        assert "{%" not in form
        assert "None" not in form
    assert letter.text.startswith("Hello ")
    assert "Hello " in Page(letter.html).text


@pytest.mark.parametrize("name", LETTERS)
def test_the_copy_keeps_its_rules(name: str) -> None:
    for form in (LETTERS[name].subject, LETTERS[name].text, Page(LETTERS[name].html).text):
        assert "!" not in form
        assert "—" not in form
        assert "licence" not in form.lower()
        assert "please" not in form.lower()
        assert ".." not in form


@pytest.mark.parametrize("name", ABOUT_A_LICENSE)
def test_the_last_usable_day_stands_in_both_forms_with_its_zone(name: str) -> None:
    for form in (flat(LETTERS[name].text), Page(LETTERS[name].html).text):
        assert re.search(r"[Ll]ast usable day(:| was)? 31 Mar 2027, Asia/Shanghai", form)


@pytest.mark.parametrize("name", LETTERS)
def test_text_and_html_lead_to_the_same_pages(name: str) -> None:
    in_html = {link for link in Page(LETTERS[name].html).links if not link.startswith("mailto:")}
    assert in_html == set(re.findall(r"https://\S+", LETTERS[name].text))
    assert all(link.startswith(DESK.url + "/") for link in in_html)


@pytest.mark.parametrize("name", LETTERS)
def test_nothing_is_loaded_and_nothing_runs(name: str) -> None:
    page = Page(LETTERS[name].html)
    assert page.loads == []
    assert not {"script", "link", "img", "iframe", "form", "object"} & set(page.tags)
    assert "url(" not in LETTERS[name].html
    assert "@import" not in LETTERS[name].html


@pytest.mark.parametrize("name", LETTERS)
def test_styles_are_inlined_and_dark_mode_stays(name: str) -> None:
    html = LETTERS[name].html
    assert re.search(r"<h1[^>]* style=", html)
    assert "prefers-color-scheme" in html
    assert 'class="big"' not in html.split("</head>")[0]


@pytest.mark.parametrize("name", LETTERS)
def test_lines_of_text_are_short_unless_they_hold_a_link(name: str) -> None:
    for line in LETTERS[name].text.splitlines():
        assert len(line) <= TEXT_WIDTH or "://" in line
        assert line == line.rstrip()


def test_the_license_travels_byte_for_byte_under_the_name_of_its_id() -> None:
    (file,) = LETTERS["license_delivery"].attachments
    assert (file.name, file.content) == ("PROD-7K3QM-X2V9D-4HTRB-v3.lic", RAW)
    carried = {name: each.name for name, letter in LETTERS.items() for each in letter.attachments}
    assert [name for name, file_name in carried.items() if file_name.endswith(".lic")] == ["license_delivery"]


@pytest.mark.parametrize("name", ["portal_link", "portal_code"])
def test_what_travels_in_clear_names_no_customer(name: str) -> None:
    letter = LETTERS[name]
    for word in (ISSUED.company, ISSUED.license_id, ISSUED.environment):
        assert word not in letter.subject + letter.text + letter.html


def test_a_code_is_not_in_the_subject() -> None:
    assert "7K3Q" not in LETTERS["portal_code"].subject
    assert "7K3Q-MX2V" in LETTERS["portal_code"].text


@pytest.mark.parametrize(
    ("days", "words"), [(30, "ends in 30 days"), (7, "ends in 7 days"), (1, "ends in 1 day:"), (0, "ends today")]
)
def test_a_reminder_says_in_how_many_days(days: int, words: str) -> None:
    letter = letters.expiry_reminder(Reader("Zhang Wei", "en"), ISSUED, days, DESK, written_at=MOMENT)
    assert words in flat(letter.text)
    assert words.rstrip(":") in letter.subject


def test_a_reminder_asks_for_a_renewal_until_there_is_one() -> None:
    asking = LETTERS["expiry_reminder"]
    assert RENEW in asking.text
    assert GOT_IT in asking.text
    assert "No renewal has been issued yet" in asking.text


def test_with_a_successor_a_reminder_says_to_upload_it_and_no_longer_to_renew() -> None:
    letter = letters.expiry_reminder(
        Reader("Zhang Wei", "en"), ISSUED, 7, DESK, written_at=MOMENT, renew_url=RENEW, successor=SUCCESSOR
    )
    text = flat(letter.text)
    assert "Version 4 was sent to Zhang Wei and ops-admins@harbourline.example on 10 Mar 2027; upload it" in text
    assert SUCCESSOR.uploaded_url in letter.text
    assert letter.subject.startswith("Upload version 4")
    for form in (letter.text, letter.html):
        assert RENEW not in form
        assert "No renewal" not in form


@pytest.mark.parametrize(
    ("on_expiry", "words"),
    [
        ("warn", "keeps working and shows a warning"),
        ("block_new", "nothing new can be added"),
        ("read_only", "users can only read"),
    ],
)
def test_the_letters_of_the_end_say_what_stops_and_what_never_does(on_expiry: str, words: str) -> None:
    facts = replace(ISSUED, on_expiry=on_expiry)
    reader = Reader("A", "en")
    for letter in (letters.expiry_reminder(reader, facts, 7, DESK, written_at=MOMENT), letters.expired(reader, facts, DESK)):
        for form in (flat(letter.text), Page(letter.html).text):
            assert words in form
            assert "Nothing stops through 14 Apr 2027" in form
            assert "Administrators can always sign in and open License Management" in form


def test_without_grace_nothing_is_promised() -> None:
    letter = letters.expired(Reader("A", "en"), replace(ISSUED, grace_last_day=None), DESK)
    assert "Nothing stops" not in letter.text
    assert "From now on" in letter.text


def test_an_approver_sees_what_changes() -> None:
    letter = LETTERS["approval_requested"]
    assert "Maximum agents: 80 -> 120" in letter.text
    assert "80 → 120" in Page(letter.html).text
    assert NOTE in flat(letter.text)
    for form in (letter.text, letter.html):
        assert "https://desk.serviceme.example/approvals/APP-2026-0142" in form, "to the page with the decision on it"
    first = letters.approval_requested(Reader("Daniel Osei", "en"), APPLICATION, (), "", DESK)
    assert "What changes" not in first.text
    assert "What changes" not in first.html


def test_an_approver_who_was_told_before_sees_what_changed_since() -> None:
    letter = LETTERS["approval_requested-revised"]
    assert "revision 2" in letter.subject
    for text in (flat(letter.text), Page(letter.html).text):
        assert "Revision 2 is what you decide on now" in text
        assert "What changed since revision 1" in text
    assert "Recipients: 1 -> 2 (+ b@x.example)" in letter.text
    assert "revision" not in LETTERS["approval_requested"].subject + LETTERS["approval_requested"].text


HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)> {{ 7*7 }} &amp; %s %(x)s'


def test_what_people_typed_stays_text() -> None:
    application, reader = replace(APPLICATION, company=HOSTILE, submitted_by=HOSTILE), Reader(HOSTILE, "en")
    for letter in (
        letters.approval_requested(reader, application, (letters.TermChange(HOSTILE, HOSTILE, HOSTILE),), HOSTILE, DESK),
        letters.rejected(reader, application, HOSTILE, HOSTILE, DESK),
        letters.needs_attention(reader, application, letters.Trouble(HOSTILE, HOSTILE, HOSTILE), DESK),
        letters.license_delivery(reader, replace(ISSUED, company=HOSTILE), RAW, SHA256, DESK),
    ):
        page = Page(letter.html)
        assert not {"script", "img"} & set(page.tags)
        assert HOSTILE in flat(letter.text)
        assert "{{ 7*7 }}" in page.text


def test_a_comment_of_several_lines_keeps_them() -> None:
    text = LETTERS["changes_requested"].text
    first, second = COMMENT.split("\n")
    assert f"  {first}\n  {second}\n" in text


@pytest.mark.parametrize("comment", ["one\r\ntwo", "one\rtwo", "a\x00b"])
def test_a_subject_never_takes_a_line_break_from_a_person(comment: str) -> None:
    letter = letters.rejected(Reader("A", "en"), replace(APPLICATION, company=comment), "B", comment, DESK)
    assert letter.subject.isprintable()


def test_an_invitation_and_a_password_letter_say_different_things() -> None:
    invited = letters.invitation(Reader("A", "en"), DESK.url + "/w/1", MOMENT, "UTC", DESK, invited_by="Grace Okafor")
    forgotten = letters.invitation(Reader("A", "en"), DESK.url + "/w/1", MOMENT, "UTC", DESK, invited_by=None)
    assert "Grace Okafor made an account" in flat(invited.text)
    assert "stays as it is" in flat(forgotten.text)


def test_no_letter_folder_lacks_a_form() -> None:
    root: Path = templating.template_directories()[-1] / "letters"
    for folder in (path for path in root.iterdir() if path.is_dir()):
        assert {path.name for path in folder.iterdir()} == {"subject.txt", "body.txt", "body.html"}


@pytest.mark.parametrize(("chosen", "tag"), [("en", "en"), ("zh", "zh-Hans"), ("tlh", "en"), ("", "en")])
def test_a_letter_is_in_the_language_of_its_reader(chosen: str, tag: str) -> None:
    letter = letters.approved(Reader("A", chosen), APPLICATION, ("B",), DESK)
    assert letter.language == tag
    assert f'<html lang="{tag}"' in letter.html
