"""Ends what a killed supervisor left running. Started by path with a bare Python: standard library only.

Reads `+PID` and `-PID` lines from the supervisor. A supervisor that dies, however it dies, closes the pipe: then every
process group that is still listed is killed. That also ends grandchildren, which the kernel's own signal misses.
"""

import contextlib
import os
import signal
import sys

# The end of the supervisor is the only thing that ends this process.
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_IGN)

groups: set[int] = set()
for line in sys.stdin:
    if line.startswith("+"):
        groups.add(int(line[1:]))
    else:
        groups.discard(int(line[1:]))
for group in groups:
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)
