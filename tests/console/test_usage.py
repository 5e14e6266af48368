"""What the platform reports of its use: over HTTP and from a file, shown, used by the preview, never a reason to refuse."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.console import vendor
from tests.console.acting import activate, activated, look, reported, staged
from workflow.console import changes, usage
from workflow.console.identity import Console
from workflow.console.rounds import Rounds
from workflow.console.usage import UsageFile, UsageUnusable
from workflow.license_file import Limit, Module, losses
from workflow.license_file.claims import Count, Over
from workflow.times import utc_now

MINUTE = timedelta(minutes=1)


def read(**use: Any) -> usage.Use:
    return usage.read(json.dumps(use).encode(), utc_now())


def test_the_newest_report_counts(console: Console) -> None:
    now = utc_now().replace(microsecond=0)
    assert look(console).use is None
    reported(console, agents=71, users=412, taken_at=f"{now - MINUTE:%Y-%m-%dT%H:%M:%SZ}")
    reported(console, agents=3, taken_at=f"{now - 2 * MINUTE:%Y-%m-%dT%H:%M:%SZ}")
    use = look(console).use
    assert use is not None
    assert (use.limits, use.taken_at) == ({"agents": 71, "users": 412}, now - MINUTE)
    assert not use.is_old(now)
    assert use.is_old(now + timedelta(days=2))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{", b'{"agents": -1}', b'{"agents": 1.5}', b'{"agents": true}', b'{"agents": "7"}', b'{"robots": 1}',
        b'{"modules": ["workflow"]}', b'{"modules": {"work flow": 1}}', b'{"modules": {"workflow": null}}',
        b'{"taken_at": "yesterday"}', b'{"agents": 1, "agents": 2}', b'{"taken_at": "2999-01-01T00:00:00Z"}',
        b'{"agents": 1}' + b" " * usage.LARGEST,
    ],
)  # fmt: skip
def test_a_report_of_another_form_is_refused_in_words(raw: bytes) -> None:
    with pytest.raises(UsageUnusable) as refused:
        usage.read(raw, utc_now())
    assert str(refused.value).endswith(".")


def test_the_preview_says_how_much_of_what_goes_is_in_use(console: Console) -> None:
    activated(console, vendor.lic(1))
    reported(console, agents=71, users=412, modules={"workflow": 1}, model_types={"speech": 12})
    smaller = vendor.claims(
        2,
        modules=(Module("agent-studio"),),
        model_types=("chat",),
        limits={"agents": Limit(60, Count.TOTAL, Over.BLOCK_NEW), "users": Limit(450, Count.NAMED, Over.WARN)},
    )
    situation = look(console)
    lost = losses(situation.claims, smaller, situation.now)
    told = {str(each.text): changes.in_use(each, smaller, situation.use) for each in lost}
    assert told["Workflow stops working"] == "used by 1 agent now"
    assert told["Data Insight stops working"] == "used by no agent now"
    assert told["Speech models stop working"] == "used by 12 agents now"
    assert told["At most 60 agents are allowed, until now 80"] == "71 are in use now, 11 more than the new license allows"
    assert told["At most 450 users are allowed, until now 500"] == "412 are in use now"
    assert {changes.in_use(each, smaller, None) for each in lost} == {None}
    assert {changes.in_use(each, smaller, read(agents=1)) for each in lost if each.term == "modules"} == {None}


def test_more_in_use_than_a_new_license_allows_is_a_note_and_refuses_nothing(console: Console) -> None:
    reported(console, agents=95)
    upload = staged(console, vendor.lic(1))
    notes = [each for each in upload.checks if each["result"] == "note"]
    assert [each["name"] for each in notes] == ["OVER_LIMIT"]
    assert activate(console, upload.id).version == 1


def test_a_report_after_the_upload_does_not_stop_the_activation(console: Console) -> None:
    upload = staged(console, vendor.lic(1))
    reported(console, agents=95)
    assert activate(console, upload.id).version == 1


def test_a_file_is_read_whenever_it_was_replaced(console: Console, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "usage.json"
    rounds = Rounds(console, None, UsageFile(path))
    rounds.look_after()  # no file is no news
    assert look(console).use is None
    path.write_text('{"agents": 12}')
    rounds.look_after()
    assert look(console).use == usage.Use(look(console).use.taken_at, {"agents": 12})  # type: ignore[union-attr]
    path.write_text("half a fi")
    rounds.look_after()
    rounds.look_after()
    assert [each.message.count("cannot be used") for each in caplog.records] == [1]
    path.write_text('{"agents": 13, "users": 1}')
    rounds.look_after()
    use = look(console).use
    assert use is not None
    assert use.limits == {"agents": 13, "users": 1}
