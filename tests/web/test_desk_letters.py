"""The preview of letters: every letter in both languages for operators, in a frame in which nothing runs or leads away."""

from collections.abc import Callable

import pytest

from tests.servers import SmtpCatcher
from tests.web.desk import Browser
from workflow.mail.samples import TITLES, every_letter

Open = Callable[[str], Browser]


def test_every_sample_has_a_title() -> None:
    assert set(TITLES) == set(every_letter())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_operator_sees_each_letter_and_nothing_is_sent(browser: Open, smtp: SmtpCatcher, language: str) -> None:
    operator = browser("operator")
    for name, letter in every_letter(language).items():
        page = operator.open(f"/settings/letters?letter={name}&language={language}")
        assert page.status_code == 200
        assert letter.subject.split(":")[0] in page.text.replace("&amp;", "&")
    frame = operator.open(f"/settings/letters/expired/{language}")
    assert frame.text == every_letter(language)["expired"].html
    assert smtp.messages == []


def test_the_frame_is_ours_alone_and_can_do_nothing(browser: Open) -> None:
    operator = browser("operator")
    page = operator.open("/settings/letters")
    assert '<iframe class="letterframe" sandbox src="/settings/letters/license_delivery/en"' in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"
    frame = operator.open("/settings/letters/license_delivery/en")
    policy = frame.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert policy.endswith("sandbox")
    assert frame.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert frame.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("who", ["liaison", "approver", "auditor", "administrator"])
def test_others_may_not_look(browser: Open, who: str) -> None:
    visitor = browser(who)
    assert visitor.open("/settings/letters").status_code == 403
    assert visitor.open("/settings/letters/expired/en").status_code == 403


def test_what_is_no_letter_is_not_found(browser: Open) -> None:
    operator = browser("operator")
    for address in ("/settings/letters?letter=nothing", "/settings/letters/expired/tlh", "/settings/letters/..%2f/en"):
        assert operator.open(address).status_code == 404
