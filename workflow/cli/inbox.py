"""`licdesk inbox`: the development inbox, in a process that has none of the command line's modules."""

import os
import sys

import typer

app = typer.Typer()


@app.command("inbox", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def inbox_command(context: typer.Context) -> None:
    """Catch and show the demo's mail (demo only). Options: --smtp-port, --http-port, --maildir, --keys, --ca."""
    os.execv(sys.executable, [sys.executable, "-m", "workflow.inbox", *context.args])  # noqa: S606  # that is the point
