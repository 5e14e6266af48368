"""The commands that use the API: what a person reads, types and gets."""

import json
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.cli.conftest import RunningDesk, licdesk
from workflow.cli import cast, client
from workflow.times import wall_now

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "applications"


def applied(desk: RunningDesk, file: Path) -> str:
    answer = desk.liaison("apply", str(file), "--json")
    assert answer.exit_code == 0, answer.stderr
    number: str = json.loads(answer.stdout)["number"]
    return number


@pytest.fixture
def example(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The application of a customer that is new in each test: a platform has one first license."""
    text = (EXAMPLES / "first-uat.toml").read_text(encoding="utf-8")
    file = tmp_path / "application.toml"
    file.write_text(text.replace("T-31544", f"T-{abs(hash(request.node.name)) % 10**9}"), encoding="utf-8")
    return file


def test_a_file_becomes_an_application_that_another_person_approves(running_desk: RunningDesk, example: Path) -> None:
    answer = running_desk.liaison("apply", str(example))
    assert answer.exit_code == 0, answer.stderr
    number = answer.stdout.splitlines()[-1].split()[0]
    assert f"{number} is submitted." in answer.stdout
    assert f"{running_desk.stack.urls['desk']}/applications/{number}" in answer.stdout

    listed = running_desk.approver("applications", "--status", "submitted")
    assert number in listed.stdout
    shown = running_desk.approver("approve", number, "--comment", "Fine.", typed="y\n")
    assert "20 agents, 60 users" in shown.stdout, "what is approved is shown before it is asked for"
    assert f"{number} is approved." in shown.stdout
    whole = running_desk.liaison("show", number, "--history")
    assert "application: approval recorded" in whole.stdout
    assert "Jonas Weber" in whole.stdout


def test_nothing_is_approved_without_a_yes(running_desk: RunningDesk, example: Path) -> None:
    number = applied(running_desk, example)
    assert running_desk.approver("approve", number, typed="n\n").exit_code == 1
    assert json.loads(running_desk.approver("show", number, "--json").stdout)["status"] == "submitted"


def test_relative_days_are_counted_from_the_desks_today(running_desk: RunningDesk, example: Path) -> None:
    number = applied(running_desk, example)
    validity = json.loads(running_desk.liaison("show", number, "--json").stdout)["terms"]["validity"]
    first, last = date.fromisoformat(validity["first_day"]), date.fromisoformat(validity["last_day"])
    assert last - first == timedelta(days=45)
    assert first == wall_now().astimezone(ZoneInfo(validity["time_zone"])).date() + timedelta(days=7)


def test_sending_back_rejecting_and_withdrawing_end_where_they_should(running_desk: RunningDesk, example: Path) -> None:
    number = applied(running_desk, example)
    back = running_desk.approver("request-changes", number, "-m", "Which order is this?")
    assert f"{number} is sent back." in back.stdout
    assert f"{number} is withdrawn." in running_desk.liaison("withdraw", number, "-m", "Cancelled.").stdout
    number = applied(running_desk, example)
    assert f"{number} is rejected." in running_desk.approver("reject", number, "-m", "No contract.").stdout


def test_the_desks_refusal_is_a_sentence_for_each_field(running_desk: RunningDesk, example: Path) -> None:
    example.write_text(example.read_text().replace("users = 60", 'users = "plenty"').replace('"chat"', '"telepathy"'))
    answer = running_desk.liaison("apply", str(example))
    assert answer.exit_code == 1
    assert "application.terms_refused: 2 answers need fixing." in answer.stderr
    assert "limits.users: Authorized users must be a whole number" in answer.stderr
    assert "model_types: 'telepathy' is not in the catalogue." in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_customer_and_recipients_come_along_once(running_desk: RunningDesk) -> None:
    first = running_desk.liaison("apply", str(EXAMPLES / "large-prod.toml"))
    assert first.exit_code == 0, first.stderr
    assert "Added the customer Grupo Almazara Industrial, S.A. (T-40002)." in first.stderr
    assert "Added the recipient Lucía Ferrer <lucia.ferrer@almazara.example>, reached by portal." in first.stderr
    second = running_desk.liaison("apply", str(EXAMPLES / "large-prod.toml"))
    assert second.exit_code == 0, second.stderr
    assert "Added" not in second.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("this is = = no toml", "cannot be read"),
        ('modul = ["chat"]', "modul: There is no field of this name. Correct its spelling, or leave it out."),
        ('customer = "Harbourline"', "Write [customer] with"),
        ('[validity]\nfirst_day = "soon"', "'soon' is no day"),
        ("[limits]\nagents = inf", "inf and nan are no numbers"),
        ('[[recipients]]\nkey = "missing.pem"', "missing.pem cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_here(running_desk: RunningDesk, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    answer = running_desk.liaison("apply", str(file))
    assert (answer.exit_code, said in answer.stderr) == (1, True), answer.stderr


def test_without_a_token_or_a_desk_the_command_says_what_to_do(tmp_path: Path, running_desk: RunningDesk) -> None:
    nothing = licdesk("applications")
    assert (nothing.exit_code, nothing.stderr.startswith("client.no_token: Set LICDESK_TOKEN")) == (1, True)
    nowhere = licdesk("applications", "--url", "http://127.0.0.1:9", environ={"LICDESK_TOKEN": "x"})
    assert (nowhere.exit_code, nowhere.stderr.startswith("client.unreachable: No desk answers")) == (1, True)
    wrong = licdesk("applications", environ={"LICDESK_TOKEN": "x", "LICDESK_URL": running_desk.stack.urls["desk"]})
    assert (wrong.exit_code, wrong.stderr.startswith("accounts.token_refused: ")) == (1, True)
    unreadable = licdesk("applications", "--token-file", str(tmp_path / "none"))
    assert "none cannot be read: No such file or directory." in unreadable.stderr


def test_a_list_on_a_narrow_terminal_shows_every_number_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    row = {
        "number": "APP-2026-0142",
        "status": "changes_requested",
        "company": "Harbourline Logistics International Holding Co., Ltd.",
        "environment": "PROD",
        "request": "renewal",
        "owner": "Maximiliane Oberhofer",
        "updated_at": "2026-11-24T14:13:00+00:00",
    }
    client._list({"items": [row], "next": None})
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for whole in ("APP-2026-0142", "Sent back", "2026-11-24 14:13"):
        assert whole in shown


def test_a_license_that_is_not_there_cannot_be_renewed(running_desk: RunningDesk) -> None:
    answer = running_desk.liaison("renew", "PROD-00000-00000-00000")
    assert (answer.exit_code, answer.stderr) == (1, "not_found: There is no license PROD-00000-00000-00000.\n")


def test_only_operators_revoke_and_only_what_there_is(running_desk: RunningDesk) -> None:
    nothing = ("license", "revoke", "PROD-00000-00000-00000", "1", "--reason", "It named one module too many.")
    answer = running_desk.as_person(cast.OPERATOR, *nothing)
    assert (answer.exit_code, answer.stderr) == (1, "not_found: There is no license PROD-00000-00000-00000.\n")
    assert "roles.missing" in running_desk.liaison(*nothing).stderr
