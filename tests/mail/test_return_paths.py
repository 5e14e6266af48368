"""The secret behind the marks: made once, for its owner alone, the same for every process."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from workflow.domain.bounces import Tags
from workflow.mail.return_paths import BounceAddressUnusable, tags_for


def test_without_an_address_nothing_is_marked_and_no_key_is_made(tmp_path: Path) -> None:
    assert tags_for(None, tmp_path / "bounce.key") is None
    assert list(tmp_path.iterdir()) == []


def test_the_first_start_makes_a_key_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "bounce.key"
    first = tags_for("bounce@desk.example", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["bounce.key"]
    assert tags_for("bounce@desk.example", path) == first


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: tags_for("bounce@desk.example", tmp_path / "bounce.key"), range(8)))
    job = uuid4()
    assert len({each.tag(job) for each in made if isinstance(each, Tags)}) == 1


@pytest.mark.parametrize(
    "address", ["bounce", "a b@desk.example", "bounce+x@desk.example", "much-too-long-a-mailbox@desk.example"]
)
def test_an_address_that_cannot_be_marked_stops_the_start(tmp_path: Path, address: str) -> None:
    with pytest.raises(BounceAddressUnusable, match="LICDESK_BOUNCE_ADDRESS"):
        tags_for(address, tmp_path / "bounce.key")


@pytest.mark.parametrize("content", ["", "no key", "abcd"])
def test_a_file_that_holds_no_key_stops_the_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "bounce.key").write_text(content)
    with pytest.raises(BounceAddressUnusable, match="key"):
        tags_for("bounce@desk.example", tmp_path / "bounce.key")
