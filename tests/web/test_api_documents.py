"""What is written about the API is true: the page of error codes is current, and every example can be applied for."""

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft202012Validator

from tests.builders import CATALOGUE
from workflow.cli.application_file import FileUnusable, read_application
from workflow.domain.terms import EnvironmentName, RequestType, already_over, read_request
from workflow.web.desk.api.request_body import EXAMPLE, ApplicationBody

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples" / "applications").glob("*.toml"))
# Late in the evening of UTC it is the next day in Shanghai.
NOW = datetime(2031, 5, 6, 20, 30, tzinfo=UTC)


def test_the_page_of_error_codes_is_current() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_errors.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda each: each.stem)
def test_every_example_can_be_applied_for_whatever_the_day(path: Path) -> None:
    stated = read_application(path, NOW)
    Draft202012Validator(ApplicationBody.model_json_schema()).validate(stated.body)
    request = read_request(ApplicationBody.model_validate(stated.body).stated(), CATALOGUE)
    assert already_over(request, NOW.astimezone(ZoneInfo(request.terms.time_zone)).date()) == []
    assert request.terms.last_day > date(2031, 5, 6)


def test_the_examples_show_each_environment_a_large_one_and_a_renewal() -> None:
    requests = [read_request(read_application(path, NOW).body, CATALOGUE) for path in EXAMPLES]
    assert {each.environment for each in requests} == set(EnvironmentName)
    assert {each.request for each in requests} >= {RequestType.NEW, RequestType.RENEWAL}
    assert max(each.terms.authorized_users for each in requests) > 500


def test_the_example_in_the_description_names_what_the_catalogue_has() -> None:
    assert read_request(EXAMPLE, CATALOGUE).terms.max_agents == 120


def test_days_count_from_today_in_the_files_zone_and_from_the_first_day(tmp_path: Path) -> None:
    file = tmp_path / "application.toml"

    def days(first: str, last: str, zone: str) -> tuple[str, str]:
        file.write_text(f'[validity]\nfirst_day = {first}\nlast_day = {last}\ntime_zone = "{zone}"\n')
        validity = read_application(file, NOW).body["validity"]
        return validity["first_day"], validity["last_day"]

    assert days('"today"', '"+364d"', "Asia/Shanghai") == ("2031-05-07", "2032-05-05")
    assert days('"today"', '"+0d"', "Europe/Berlin") == ("2031-05-06", "2031-05-06")
    assert days('"+10d"', '"+10d"', "UTC") == ("2031-05-16", "2031-05-26")
    assert days("2031-06-01", '"2031-06-30"', "UTC") == ("2031-06-01", "2031-06-30")
    assert days('"today"', '"+1d"', "Mars/Base") == ("2031-05-06", "2031-05-07"), "the desk refuses the zone in its own words"
    with pytest.raises(FileUnusable, match="'next year' is no day"):
        days('"today"', '"next year"', "UTC")
    with pytest.raises(FileUnusable, match="is no day"):
        days("9999-12-31", '"+1d"', "UTC")
