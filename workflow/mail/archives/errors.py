"""What goes wrong where mail is looked up."""

from workflow.errors import Misconfigured, Unavailable


class ArchiveUnusable(Misconfigured):
    """The setting names no archive that can be searched."""

    code = "mail.archive"


class ArchiveAway(Unavailable):
    """The archive cannot be read now, so the doubt stays."""

    code = "mail.archive_away"
