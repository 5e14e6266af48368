"""The memory of everything that `python3 dev.py up` starts."""

from pathlib import Path

from workflow.cli.memory import memory_of
from workflow.cli.stack import Stack


def memory_of_the_one_command_run(data: Path) -> int:
    """Megabytes (proportional set size) that a whole fresh stack holds once it is ready."""
    with Stack(data) as stack:
        sessions = {stack.state.pid, *(each.pid for each in stack.processes.values())}
        return round(memory_of(sessions).size / 2**20)
