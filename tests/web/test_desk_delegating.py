"""An approver names a colleague, who finds the application in the queue and decides for them."""

from collections.abc import Callable

from tests.web.desk import Browser
from tests.workers.company import Company
from workflow.times import utc_now

Open = Callable[[str], Browser]


def test_a_colleague_decides_for_who_is_out_of_office(browser: Open, company: Company) -> None:
    number = company.apply()
    away, colleague = browser("approver"), browser("approver2")
    away.open("/profile")
    assert "Name a colleague" in away.words
    away.open("/profile/away")
    assert away.send("/profile/away", to="nobody@serviceme.example").status_code == 422
    today = utc_now().date().isoformat()
    away.send("/profile/away", to="approver2@serviceme.example", first_day=today, last_day=today, reason="On leave.")
    assert "Sofia Marin" in away.words
    colleague.open(f"/approvals/{number}")
    assert "who is out of office" in colleague.words
    giver = next(value for value in colleague.page.text.split('value="') if "For " in value[:120]).split('"')[0]  # type: ignore[union-attr]  # a page is open
    colleague.send(f"/approvals/{number}", decision="approve", **{"for": giver})
    colleague.open(f"/applications/{number}")
    assert "Approved by Sofia Marin for" in colleague.words


def test_who_is_no_approver_has_nobody_act_for_them(browser: Open) -> None:
    liaison = browser("liaison")
    liaison.open("/profile")
    assert "Out of office" not in liaison.words
    assert liaison.open("/profile/away").status_code == 403
