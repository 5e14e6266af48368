"""The format can be lifted out: importing it loads the standard library and `cryptography`, nothing else."""

import subprocess
import sys
from pathlib import Path

#: `_cffi_backend` and `_openssl` are the native half of `cryptography`; `_sysconfigdata…` is Python's own.
ALLOWED = {"cryptography", "_cffi_backend", "_openssl", "workflow"}

PROGRAM = """
import sys
before = set(sys.modules)
import workflow.license_file
loaded = {name.partition(".")[0] for name in sys.modules.keys() - before}
print(*(name for name in loaded if name not in sys.stdlib_module_names and not name.startswith("_sysconfigdata")))
print(*(name for name in sys.modules if name.startswith("workflow") and not name.startswith("workflow.license_file")))
"""


def test_importing_the_format_loads_nothing_but_the_standard_library_and_cryptography() -> None:
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, timeout=60, check=True)
    others, ours = run.stdout.splitlines()
    assert set(others.split()) <= ALLOWED
    assert ours == "workflow"


def test_every_public_name_is_there() -> None:
    import workflow.license_file as library

    assert all(hasattr(library, name) for name in library.__all__)
    assert (Path(library.__file__).parent / "py.typed").exists()
