"""`licdesk license verify` tells the same as the platform would, for people and for programs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.license_file.example import CLAIMS, TENANT, lic, lrl, signed_root, signer
from tests.license_file.make_vectors import PUBLISHED
from workflow.cli.license import app

AT = "2026-11-01T09:00:00Z"


def verify(path: Path, *options: str, trust: Path = PUBLISHED) -> Result:
    return CliRunner().invoke(app, ["verify", str(path), "--trust", str(trust), *options], env={"COLUMNS": "200"})


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    directory = tmp_path / "trust"
    directory.mkdir()
    for name in ("root-1.json", "pin.txt"):
        (directory / name).write_bytes((PUBLISHED / name).read_bytes())
    return directory


def test_an_accepted_file_exits_with_0_and_says_what_it_is(trust: Path) -> None:
    run = verify(PUBLISHED / "valid.lic", "--tenant", TENANT, "--environment", "PROD", "--at", AT, trust=trust)
    assert run.exit_code == 0, run.output
    assert "Accepted: ACTIVE" in run.output
    assert "Last usable day  31 Mar 2027, Asia/Shanghai" in run.output
    assert signer("issuer-prod").keyid in run.output


def test_a_refused_file_exits_with_1_and_says_what_to_do(trust: Path) -> None:
    run = verify(PUBLISHED / "valid.lic", "--tenant", TENANT, "--environment", "UAT", "--at", AT, trust=trust)
    assert run.exit_code == 1
    assert "Refused: WRONG_ENVIRONMENT" in run.output
    assert "This file is for PROD; this platform is UAT. Ask your business liaison for the UAT file." in run.output
    assert f"Contact: {CLAIMS.contact.name}" in run.output
    tampered = verify(PUBLISHED / "tampered.lic", "--at", AT, trust=trust)
    assert tampered.exit_code == 1
    assert "Refused: BAD_SIGNATURE" in tampered.output
    assert "Contact" not in tampered.output


def test_without_a_platform_only_signature_and_content_count(trust: Path) -> None:
    run = verify(PUBLISHED / "valid.lic", "--at", "2030-01-01T00:00:00Z", trust=trust)
    assert run.exit_code == 0
    assert "Genuine: EXPIRED" in run.output


def test_the_newest_root_of_the_directory_decides() -> None:
    run = verify(PUBLISHED / "valid.lic", "--at", AT)
    assert run.exit_code == 1
    assert "KEY_RETIRED" in run.output


def test_programs_get_one_json_object(trust: Path) -> None:
    accepted = json.loads(verify(PUBLISHED / "valid.lic", "--at", AT, "--json", trust=trust).output)
    assert accepted["accepted"] is True
    assert accepted["license"]["license_id"] == CLAIMS.license_id
    refused = json.loads(verify(PUBLISHED / "tampered.lic", "--json", trust=trust).output)
    assert refused["accepted"] is False
    assert refused["code"] == "BAD_SIGNATURE"
    assert [check["name"] for check in refused["checks"] if check["result"] == "failed"] == ["signature"]


@pytest.mark.parametrize(
    "options",
    [["--tenant", TENANT], ["--environment", "PROD"], ["--at", "tomorrow"], ["--pin", "0" * 64], ["--environment", "TEST"]],
    ids=" ".join,
)
def test_a_wrong_command_exits_with_2(trust: Path, options: list[str]) -> None:
    assert verify(PUBLISHED / "valid.lic", *options, trust=trust).exit_code == 2


def test_a_missing_file_or_trust_root_exits_with_2(trust: Path, tmp_path: Path) -> None:
    assert verify(tmp_path / "none.lic", trust=trust).exit_code == 2
    assert verify(PUBLISHED / "valid.lic", trust=tmp_path).exit_code == 2
    assert verify(PUBLISHED / "valid.lic", trust=tmp_path / "nowhere").exit_code == 2


def test_a_huge_file_is_refused_without_being_read_whole(trust: Path, tmp_path: Path) -> None:
    huge = tmp_path / "huge.lic"
    huge.write_bytes(lic())
    with huge.open("r+b") as file:
        file.truncate(10**9)
    run = verify(huge, trust=trust)
    assert run.exit_code == 1
    assert "TOO_LARGE" in run.output


def test_one_trust_root_can_be_named_and_its_pin_lies_beside_it_or_is_given(tmp_path: Path) -> None:
    root = tmp_path / "root-1.json"
    root.write_bytes((PUBLISHED / "root-1.json").read_bytes())
    assert verify(PUBLISHED / "valid.lic", "--at", AT, trust=PUBLISHED / "root-1.json").exit_code == 0
    assert verify(PUBLISHED / "valid.lic", "--at", AT, trust=root).exit_code == 2
    pin = (PUBLISHED / "pin.txt").read_text().strip()
    assert verify(PUBLISHED / "valid.lic", "--at", AT, "--pin", pin, trust=root).exit_code == 0


def test_the_trust_root_of_this_desk_is_taken_when_none_is_named() -> None:
    command = ["verify", str(PUBLISHED / "valid.lic"), "--at", AT]
    run = CliRunner().invoke(app, command, env={"LICDESK_TRUST_DIR": str(PUBLISHED / "root-1.json")})
    assert run.exit_code == 0, run.output


def inspect(path: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["inspect", str(path), *options], env={"COLUMNS": "200"})


def test_inspecting_shows_the_content_and_says_that_nothing_was_verified() -> None:
    run = inspect(PUBLISHED / "tampered.lic")
    assert run.exit_code == 0
    assert run.output.startswith("Not verified: anybody could have written this.")
    assert '"max": 900' in run.output


def test_inspecting_tells_what_a_file_carries(tmp_path: Path) -> None:
    file = tmp_path / "carrying.lic"
    file.write_bytes(lic(roots=(signed_root(),), revocations=lrl(7)))
    found = json.loads(inspect(file, "--json").output)
    assert (found["verified"], found["roots"], found["revocations"]) == (False, [1], 7)
    assert found["keyids"] == [signer("issuer-prod").keyid]
    assert found["content"]["license_id"] == CLAIMS.license_id


@pytest.mark.parametrize("name", ["root-1.json", "revocations.lrl", "receipt.lrc"])
def test_the_other_documents_can_be_inspected_too(name: str) -> None:
    run = inspect(PUBLISHED / name)
    assert run.exit_code == 0
    assert "license verify" not in run.output, "it takes licenses only"


def test_a_damaged_file_is_refused_by_its_code(tmp_path: Path) -> None:
    file = tmp_path / "cut.lic"
    file.write_bytes(lic()[:500])
    assert (inspect(file).exit_code, "DAMAGED: The file is incomplete" in inspect(file).output) == (1, True)
    assert json.loads(inspect(file, "--json").output)["code"] == "DAMAGED"
    assert inspect(tmp_path / "none").exit_code == 2
