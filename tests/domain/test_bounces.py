"""The marks on envelopes: only this desk makes them, and any change to one is seen."""

from uuid import UUID

import pytest

from workflow.domain.bounces import Tags

JOB, OTHER = UUID("0195f3a2-7c11-7e4d-9b6e-0f5a3c2d1e4f"), UUID("0195f3a2-7c11-7e4d-9b6e-0f5a3c2d1e50")
TAGS = Tags("bounce@desk.example", bytes(range(32)))


def test_a_mark_leads_back_to_its_message() -> None:
    assert TAGS.job_of(TAGS.tag(JOB)) == JOB
    assert TAGS.job_at(TAGS.return_path(JOB)) == JOB
    assert TAGS.return_path(JOB).startswith("bounce+")


def test_mail_servers_may_change_the_case_and_keep_the_brackets() -> None:
    assert TAGS.job_at(f"<{TAGS.return_path(JOB).upper()}>") == JOB
    assert TAGS.job_of(f"  {TAGS.tag(JOB).upper()} ") == JOB


def test_an_address_of_a_message_is_short_enough_for_every_mail_server() -> None:
    local = TAGS.return_path(JOB).partition("@")[0]
    assert len(local) <= 64
    assert len(TAGS.tag(JOB)) <= 100  # ENVID, RFC 3461, 4.4


@pytest.mark.parametrize("position", range(43))
def test_a_mark_with_one_changed_character_is_nobodys(position: int) -> None:
    tag = TAGS.tag(JOB)
    changed = tag[:position] + ("a" if tag[position] != "a" else "b") + tag[position + 1 :]
    assert TAGS.job_of(changed) is None


def test_the_mark_of_one_message_does_not_fit_another() -> None:
    token, mac = TAGS.tag(JOB).split(".")
    assert TAGS.job_of(f"{TAGS.tag(OTHER).split('.')[0]}.{mac}") is None
    assert TAGS.job_of(f"{token}.{TAGS.tag(OTHER).split('.')[1]}") is None


def test_another_desk_makes_other_marks() -> None:
    assert Tags(TAGS.address, bytes(32)).job_of(TAGS.tag(JOB)) is None


@pytest.mark.parametrize(
    "address",
    [
        *("", "@", "bounce@desk.example", "bounce+@desk.example", "bounce+a.b@desk.example", "\x00", "ä" * 43),
        TAGS.return_path(JOB).replace("desk.example", "elsewhere.example"),
        TAGS.return_path(JOB).replace("bounce+", "licensing+"),
        TAGS.return_path(JOB).replace("bounce+", "bounce+bounce+"),
    ],
)
def test_other_addresses_lead_to_no_message(address: str) -> None:
    assert TAGS.job_at(address) is None


def test_a_key_is_never_shown() -> None:
    assert "key" not in repr(TAGS)
