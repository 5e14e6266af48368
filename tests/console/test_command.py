"""`licdesk console`: what it prints, what it answers, and its exit status."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select
from typer.testing import CliRunner, Result

from tests.console import vendor
from workflow.cli.console import app
from workflow.cli.stack import StackState
from workflow.console.identity import open_console
from workflow.console.store import Administrator
from workflow.database import reading
from workflow.license_file import Environment, Restriction
from workflow.settings import ConsoleSettings, Mode
from workflow.times import CLOCK_FILE_VARIABLE, set_clock, wall_now


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the trust root and a password."""
    (tmp_path / "root-1.json").write_bytes(vendor.root())
    (tmp_path / "password").write_text(vendor.PASSWORD + "\n")
    return tmp_path


@pytest.fixture(autouse=True)
def demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LICDESK_MODE", "demo")


def run(files: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [arguments[0], "--directory", str(files / "console"), *arguments[1:]])


def init(files: Path, *more: str) -> Result:
    return run(
        files, "init", "--tenant", vendor.TENANT, "--environment", "PROD", "--pin", vendor.pin(),
        "--trust", str(files / "root-1.json"), "--admin", vendor.ADMIN, *more,
    )  # fmt: skip


def install(files: Path, raw: bytes, *more: str) -> Result:
    path = files / "some.lic"
    path.write_bytes(raw)
    return run(files, "install", str(path), *more)


@pytest.fixture
def ready(files: Path) -> Path:
    assert init(files, "--password-file", str(files / "password")).exit_code == 0
    return files


def test_init_prints_what_the_issuer_confirms_and_repeats_itself(files: Path) -> None:
    answer = init(files, "--json")
    assert answer.exit_code == 0, answer.output
    facts = json.loads(answer.stdout)
    assert facts["fingerprint"].replace(" ", "") == facts["keyid"]
    assert len(facts["password"]) >= 12
    again = json.loads(init(files, "--json").stdout)
    assert "password" not in again
    assert again == {name: value for name, value in facts.items() if name != "password"}
    plain = init(files).stdout
    assert plain.endswith(f"licdesk console serve --directory {files / 'console'}\n")
    assert facts["installation_id"] in plain
    assert facts["fingerprint"] in plain


def test_a_given_password_is_never_printed(files: Path) -> None:
    answer = init(files, "--password-file", str(files / "password"))
    assert answer.exit_code == 0
    assert vendor.PASSWORD not in answer.output


@pytest.mark.parametrize(
    "different",
    [("--tenant", "T-1"), ("--admin", "other@harbourline.example"), ("--label", "two"), ("--time-zone", "Asia/Shanghai")],
)
def test_init_refuses_another_setup_in_one_sentence(ready: Path, different: tuple[str, str]) -> None:
    answer = init(ready, *different)
    assert answer.exit_code == 1
    assert "Nothing was changed" in answer.stderr
    assert different[1] in answer.stderr


def test_production_refuses_the_demo_root(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LICDESK_MODE")
    answer = init(files)
    assert answer.exit_code == 1
    assert "console.demo_root" in answer.stderr


def test_a_short_password_is_refused(files: Path) -> None:
    (files / "password").write_text("short")
    answer = init(files, "--password-file", str(files / "password"))
    assert answer.exit_code == 1
    assert "12 to 256 characters" in answer.stderr


def test_install_shows_each_check_and_activates(ready: Path) -> None:
    raw = vendor.lic()
    answer = install(ready, raw)
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.count("✓") >= 10
    assert "PROD-7Q2MX-4TBK9-HZ0CE version 1 is active." in answer.stdout
    assert (ready / "console" / "published" / "generation").read_text() == "1\n"
    assert "is installed already" in install(ready, raw).stdout


def test_install_needs_to_be_told_that_a_loss_is_meant(ready: Path) -> None:
    install(ready, vendor.lic(1))
    answer = install(ready, vendor.fewer(2))
    assert answer.exit_code == 1
    assert "Speech models stop working." in answer.stderr
    assert "--acknowledge" in answer.stderr
    assert json.loads(run(ready, "show", "--json").stdout)["version"] == 1
    assert install(ready, vendor.fewer(2), "--acknowledge", "--by", "Ops").exit_code == 0
    assert json.loads(run(ready, "show", "--json").stdout)["version"] == 2


def test_a_refused_file_ends_with_1_its_code_and_whom_to_ask(ready: Path) -> None:
    raw = vendor.lic(key="issuer-uat", environment=Environment.UAT, license_id="UAT-7Q2MX-4TBK9-HZ0CE")
    answer = install(ready, raw)
    assert answer.exit_code == 1
    assert "WRONG_ENVIRONMENT: This file is for UAT; this platform is PROD." in answer.stderr
    assert vendor.CONTACT.mailbox in answer.stderr
    facts = json.loads(install(ready, raw, "--json").stdout)
    assert (facts["result"], facts["code"]) == ("refused", "WRONG_ENVIRONMENT")


def test_a_file_above_the_limit_is_refused_without_reading_it_whole(ready: Path) -> None:
    answer = install(ready, b"x" * 5_000_000)
    assert answer.exit_code == 1
    assert "TOO_LARGE" in answer.stderr


def test_a_later_license_is_scheduled_and_shown(ready: Path) -> None:
    install(ready, vendor.lic(1))
    answer = install(ready, vendor.lic(2, starts=timedelta(days=9)), "--json")
    assert json.loads(answer.stdout)["result"] == "scheduled"
    shown = run(ready, "show").stdout
    assert "version 1" in shown
    assert "Next          version 2, from" in shown


def test_where_no_console_runs_a_license_that_has_begun_does_not_keep_the_next_one_out(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(ready, vendor.lic(1))
    install(ready, vendor.lic(2, starts=timedelta(days=9)))
    third, fourth = vendor.lic(3), vendor.lic(4, starts=timedelta(days=20))
    set_clock(ready / "clock", wall_now() + timedelta(days=10))
    monkeypatch.setenv(CLOCK_FILE_VARIABLE, str(ready / "clock"))
    answer = install(ready, third, "--acknowledge")
    assert answer.exit_code == 0, answer.output
    assert install(ready, fourth).exit_code == 0
    set_clock(ready / "clock", wall_now() + timedelta(days=21))
    (ready / "list.lrl").write_bytes(vendor.lrl(1, 4))
    stopped = run(ready, "revocations", str(ready / "list.lrl"))
    assert stopped.exit_code == 0, stopped.output
    assert "The license in force is revoked." in stopped.stdout


def test_history_lists_everything_with_the_person(ready: Path) -> None:
    install(ready, vendor.lic(1), "--by", "Chen Yu")
    install(ready, b"nonsense", "--by", "Chen Yu")
    rows = json.loads(run(ready, "history", "--json").stdout)
    assert [(row["result"], row["person"]) for row in rows] == [("refused", "Chen Yu"), ("current", "Chen Yu")]
    assert "DAMAGED" in run(ready, "history").stdout


def test_a_member_and_a_new_password(ready: Path) -> None:
    answer = run(ready, "administrator", vendor.MEMBER, "--role", "member")
    assert f"Added {vendor.MEMBER}." in answer.stdout
    assert "shown once" in answer.stdout
    assert f"New password for {vendor.ADMIN}." in run(ready, "administrator", vendor.ADMIN).stdout


@pytest.mark.parametrize("command", ["show", "history", "serve"])
def test_without_a_console_each_command_says_what_to_run(files: Path, command: str) -> None:
    answer = run(files, command)
    assert answer.exit_code == 1
    assert "licdesk console init" in answer.stderr


def test_a_revocation_list_counts_at_once(ready: Path) -> None:
    assert install(ready, vendor.lic()).exit_code == 0
    path = ready / "list.lrl"
    path.write_bytes(vendor.lrl(1, 1))
    answer = run(ready, "revocations", str(path))
    assert answer.exit_code == 0, answer.output
    assert "number 1 counts from now on" in answer.stdout
    assert "The license in force is revoked" in answer.stdout
    assert (ready / "console" / "published" / "revocations.lrl").read_bytes() == path.read_bytes()
    assert json.loads(run(ready, "history", "--json").stdout)[0]["result"] == "revocation_list"
    assert "in use already" in run(ready, "revocations", str(path)).stdout
    path.write_bytes(vendor.lic())
    refused = run(ready, "revocations", str(path))
    assert refused.exit_code == 1
    assert "UNTRUSTED_REVOCATIONS" in refused.stderr


def test_the_console_of_a_one_command_demo_is_shown_without_being_told_the_mode(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LICDESK_MODE")
    refused = run(ready, "show")
    assert refused.exit_code == 1
    assert "demo trust root" in refused.stderr
    (ready / "run").mkdir()
    StackState(pid=1, ready=True, urls={}, ports={}, settings={"mode": "demo"}).write(ready / "run")
    assert "State         none" in run(ready, "show").stdout
    monkeypatch.setenv("LICDESK_MODE", "production")
    assert run(ready, "show").exit_code == 1


def test_the_administrator_has_the_name_that_was_given(ready: Path) -> None:
    assert run(ready, "administrator", vendor.MEMBER, "--name", "Ortiz Lena").exit_code == 0
    console = open_console(ConsoleSettings(mode=Mode.DEMO, console_dir=ready / "console"))
    with reading(console.engine) as session:
        names = session.exec(select(Administrator.name).order_by(col(Administrator.id))).all()
    console.engine.dispose()
    assert names == ["Wei Zhang", "Ortiz Lena"]


def test_a_restriction_in_the_issuers_words_gets_no_second_full_stop(ready: Path) -> None:
    assert install(ready, vendor.lic(1)).exit_code == 0
    answer = install(ready, vendor.lic(2, restrictions=(Restriction("internal", "Own staff only."),)))
    assert " - A new restriction applies: Own staff only.\n" in answer.stderr
