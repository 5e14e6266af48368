"""What the console's process looks after by itself when that fails: it goes on, and says so once."""

import asyncio
from collections.abc import Iterator

import pytest

from workflow.web.console.app import _repeat


def test_a_round_that_fails_again_and_again_is_logged_once_until_it_works(caplog: pytest.LogCaptureFixture) -> None:
    ends: Iterator[BaseException | None] = iter(
        [OSError(), OSError(), OSError(), ValueError(), None, OSError(), OSError(), asyncio.CancelledError()]
    )

    def work() -> None:
        if (end := next(ends)) is not None:
            raise end

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_repeat(work, 0.0))
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [OSError, ValueError, OSError]
