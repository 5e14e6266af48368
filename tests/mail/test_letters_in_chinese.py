"""Letters to readers of Chinese: no sentence left in English, days and lines as written there, unharmed by mail."""

import re
from email import message_from_bytes, policy

import pytest

from tests.mail.test_letters import Page, flat
from workflow.mail import letters
from workflow.mail.encryption import sign_only
from workflow.mail.messages import Mailbox, OuterHeaders
from workflow.mail.rendering import Reader
from workflow.mail.samples import (
    APPLICATION,
    COMMENT,
    DESK,
    FINDINGS,
    ISSUED,
    MOMENT,
    NOTE,
    REASON,
    RULE,
    TROUBLE,
    every_letter,
)
from workflow.mail.wrapping import TEXT_WIDTH, padded, width, wrapped

ENGLISH, CHINESE = every_letter("en"), every_letter("zh")
SENTENCE = re.compile(r"\b[A-Za-z][a-z']+(?: [a-z][a-z']+)+")
"""two words in a row that look like a sentence"""
TYPED = (
    *(
        NOTE,
        COMMENT,
        RULE,
        REASON,
        TROUBLE.answer,
        ISSUED.company,
        DESK.name,
        "Ordered twice",
        "nightly export",
        "Platform operations",
    ),
    *(each.sentence for each in FINDINGS),
)
"""What people typed, other machines said, or the history keeps: it is quoted as it is."""
ADDRESSES = re.compile(r"\S+@\S+")
COMMANDS = re.compile(r"licdesk [a-z -]+")


def english_in(form: str) -> list[str]:
    for typed in map(flat, TYPED):
        form = form.replace(typed, "")
    return SENTENCE.findall(COMMANDS.sub("", ADDRESSES.sub("", form)))


@pytest.mark.parametrize("name", CHINESE)
def test_no_sentence_is_left_in_english(name: str) -> None:
    letter = CHINESE[name]
    for form in (letter.subject, flat(letter.text), Page(letter.html).text):
        assert re.search("[\u4e00-\u9fff]", form)
        assert english_in(form) == []


def test_a_sentence_left_in_english_is_found() -> None:
    assert english_in(Page(ENGLISH["approved"].html).text) != []
    assert english_in("许可证已到期。Ask for the renewal.") == ["Ask for the renewal"]


@pytest.mark.parametrize("name", CHINESE)
def test_both_languages_lead_to_the_same_pages_and_carry_the_same_license(name: str) -> None:
    assert Page(CHINESE[name].html).links == Page(ENGLISH[name].html).links
    assert set(re.findall(r"https://\S+", CHINESE[name].text)) == set(re.findall(r"https://\S+", ENGLISH[name].text))
    licenses = [[each for each in of[name].attachments if each.name.endswith(".lic")] for of in (CHINESE, ENGLISH)]
    assert licenses[0] == licenses[1]


@pytest.mark.parametrize("name", CHINESE)
def test_punctuation_is_that_of_chinese(name: str) -> None:
    for words in (*CHINESE[name].text.splitlines(), *Page(CHINESE[name].html).words):
        assert not re.search(r"[\u4e00-\u9fff] ?[,;:?!](?!\w)", words)
        assert not re.search(r"[。？！）] +[\u4e00-\u9fff]", words)
        assert "—" not in words


def test_days_are_written_as_in_china() -> None:
    for form in (CHINESE["expiry_reminder"].text, Page(CHINESE["expiry_reminder"].html).text):
        assert re.search(r"最后可用日：? *2027年3月31日（Asia/Shanghai）", form)
    assert CHINESE["expiry_reminder"].subject == "Harbourline Logistics Co., Ltd. PROD 的许可证将于 7 天后到期"
    assert "2026年11月27日 14:37（Asia/Shanghai）" in CHINESE["portal_link"].text


@pytest.mark.parametrize("name", CHINESE)
def test_lines_fit_and_break_where_chinese_may(name: str) -> None:
    for line in CHINESE[name].text.splitlines():
        assert width(line) <= TEXT_WIDTH or "://" in line
        assert not line.lstrip().startswith(tuple("，。、；：？！）》」”"))
        assert not line.endswith(tuple("（《「“"))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("字" * 36 + "，字", ["字" * 36 + "，", "字"]),
        ("字" * 37 + "，字", ["字" * 36, "字，字"]),
        ("字" * 36 + "（字）", ["字" * 36, "（字）"]),
        ("  1. " + "字" * 40, ["  1. " + "字" * 34, "     " + "字" * 6]),
        ("字" * 30 + " licensing@serviceme.example 字", ["字" * 30, "licensing@serviceme.example 字"]),
        ("word " * 15 + "word", ["word " * 14 + "word", "word"]),
        ("x" * 90, ["x" * 90]),
        ("字" * 50 + " https://desk.example/d/1", ["字" * 50 + " https://desk.example/d/1"]),
    ],
)
def test_text_is_broken_between_words_and_between_characters(text: str, lines: list[str]) -> None:
    assert wrapped(f"-\n{text}").splitlines() == ["-", *(line.rstrip() for line in lines)]


def test_columns_count_a_chinese_character_twice() -> None:
    assert [width(padded(text, 19)) for text in ("公司：", "License ID:")] == [19, 19]
    assert width(padded("a long label that fills more than it should", 19)) > 19


@pytest.mark.parametrize("name", ["license_delivery", "expiry_reminder", "digest_decisions"])
def test_mail_carries_it_in_seven_bits(name: str) -> None:
    headers = OuterHeaders(
        sender=Mailbox("licensing@serviceme.example", "许可证服务台"),
        recipient=Mailbox("wei.zhang@harbourline.example", "张伟"),
        message_id="<1@serviceme.example>",
        date=MOMENT,
    )
    mime = sign_only(CHINESE[name], None, headers=headers)
    assert mime.isascii()
    head, _, _ = mime.partition(b"\r\n\r\n")
    assert all(len(line) <= 76 for line in head.split(b"\r\n"))
    assert all(len(line) <= 998 for line in mime.split(b"\r\n"))
    read = message_from_bytes(mime, policy=policy.default)
    assert read["Subject"] == CHINESE[name].subject
    assert read["To"].addresses[0].display_name == "张伟"
    bodies = [read.get_body(("plain",)), read.get_body(("html",))]
    assert [body.get_content().replace("\r\n", "\n") for body in bodies if body] == [CHINESE[name].text, CHINESE[name].html]


def test_an_english_reader_is_not_disturbed() -> None:
    text = letters.rejected(Reader("A", "en"), APPLICATION, "B", "第一。 第二。", DESK).text
    assert "第一。" in text
