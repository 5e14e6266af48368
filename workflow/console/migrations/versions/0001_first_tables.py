"""The console's first tables."""

import sqlalchemy as sa
from alembic import op

from workflow.database import UtcDateTime

revision = "0001"
down_revision = None

TABLES = (
    "administrator",
    "clock",
    "generation",
    "installation",
    "installed_license",
    "outgoing_receipt",
    "refused_upload",
    "reported_use",
    "revocation_upload",
    "revocations",
    "sign_in_failure",
    "staged_upload",
    "trust_root",
    "session",
)


def upgrade() -> None:
    """What this step adds."""
    op.create_table(
        "administrator",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("address"),
    )
    op.create_table(
        "clock",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("seen", UtcDateTime(), nullable=False),
        sa.Column("ahead_since", UtcDateTime(), nullable=True),
        sa.Column("behind_since", UtcDateTime(), nullable=True),
        sa.CheckConstraint("row = 1", name="only_one_clock"),
        sa.PrimaryKeyConstraint("row"),
    )
    op.create_table(
        "generation",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("row = 1", name="only_one_generation"),
        sa.PrimaryKeyConstraint("row"),
    )
    op.create_table(
        "installation",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("installation_id", sa.String(), nullable=False),
        sa.Column("keyid", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=True),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("desk_url", sa.String(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("number = 1", name="only_one_installation"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "installed_license",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("payload_sha256", sa.String(), nullable=False),
        sa.Column("license_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("keyids", sa.JSON(), nullable=False),
        sa.Column("issued_at", UtcDateTime(), nullable=False),
        sa.Column("valid_from", UtcDateTime(), nullable=False),
        sa.Column("valid_until", UtcDateTime(), nullable=False),
        sa.Column("grace_until", UtcDateTime(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("acknowledged", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("in_force_at", UtcDateTime(), nullable=True),
        sa.Column("replaced_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("standing IN ('scheduled', 'current', 'replaced')", name="known_standing"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_installed_license_created_at", "installed_license", ["created_at"], unique=False)
    op.create_index("ix_installed_license_payload_sha256", "installed_license", ["payload_sha256"], unique=False)
    op.create_index(
        "one_current_license", "installed_license", ["standing"], unique=True, sqlite_where=sa.text("standing = 'current'")
    )
    op.create_index(
        "one_scheduled_license", "installed_license", ["standing"], unique=True, sqlite_where=sa.text("standing = 'scheduled'")
    )

    op.create_table(
        "outgoing_receipt",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("receipt_id", sa.String(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("payload_sha256", sa.String(), nullable=False),
        sa.Column("installed_id", sa.Integer(), nullable=True),
        sa.Column("refused_id", sa.String(), nullable=True),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.Column("last_error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("receipt_id"),
    )
    op.create_index("ix_outgoing_receipt_installed_id", "outgoing_receipt", ["installed_id"], unique=False)
    op.create_index("ix_outgoing_receipt_refused_id", "outgoing_receipt", ["refused_id"], unique=False)
    op.create_index("ix_outgoing_receipt_next_at", "outgoing_receipt", ["next_at"], unique=False)

    op.create_table(
        "reported_use",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("taken_at", UtcDateTime(), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("modules", sa.JSON(), nullable=False),
        sa.Column("model_types", sa.JSON(), nullable=False),
        sa.CheckConstraint("row = 1", name="only_one_report"),
        sa.PrimaryKeyConstraint("row"),
    )
    op.create_table(
        "refused_upload",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("file_sha256", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("message", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.Column("contact", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("uploaded_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_refused_upload_created_at", "refused_upload", ["created_at"], unique=False)

    op.create_table(
        "revocation_upload",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("payload_sha256", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("uploaded_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("taken_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_revocation_upload_created_at", "revocation_upload", ["created_at"], unique=False)
    op.create_index("ix_revocation_upload_taken_at", "revocation_upload", ["taken_at"], unique=False)

    op.create_table(
        "sign_in_failure",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "staged_upload",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("payload_sha256", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.Column("uploaded_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.Column("installed_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_staged_upload_created_at", "staged_upload", ["created_at"], unique=False)

    op.create_table(
        "revocations",
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("payload_sha256", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("row = 1", name="only_one_list"),
        sa.PrimaryKeyConstraint("row"),
    )
    op.create_table(
        "trust_root",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("payload_sha256", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "session",
        sa.Column("token_sha256", sa.String(), nullable=False),
        sa.Column("administrator_id", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["administrator_id"],
            ["administrator.id"],
        ),
        sa.PrimaryKeyConstraint("token_sha256"),
    )
    op.create_index("ix_session_administrator_id", "session", ["administrator_id"], unique=False)


def downgrade() -> None:
    """The way back: every table goes, and with them the history."""
    for table in reversed(TABLES):
        op.drop_table(table)
