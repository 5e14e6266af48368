"""The desk's first schema"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# What happened never changes: not by this program, not by hand.
WRITTEN_ONCE = ("event", "checkpoint")
TRIGGERS = {
    "sqlite": (
        "CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{table}s never change'); END",
        "CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{table}s never change'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '{table}s never change'; END $$",
        "CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_refuse()",
        "CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()",
    ),
}


def upgrade() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("heads", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_checkpoint")),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "event_stream",
        sa.Column("stream", sa.String(length=40), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_event_stream")),
    )
    op.create_table(
        "heartbeat",
        sa.Column("process", sa.String(length=100), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("endings", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("process", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "tenant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("company", sa.String(length=200), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_tenant_tenant_id")),
    )
    with op.batch_alter_table("tenant", schema=None) as batch_op:
        batch_op.create_index("ix_tenant_company", ["company", "id"], unique=False)

    op.create_table(
        "tenant_word",
        sa.Column("tenant", sa.Uuid(), nullable=False),
        sa.Column("word", sa.String(length=40).with_variant(sa.String(40, collation="C"), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_tenant_word_tenant")),
        sa.PrimaryKeyConstraint("tenant", "word", name=op.f("pk_tenant_word")),
    )
    with op.batch_alter_table("tenant_word", schema=None) as batch_op:
        batch_op.create_index("ix_tenant_word_word", ["word", "tenant"], unique=False)

    op.create_table(
        "throttle",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("window_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttle")),
    )
    op.create_table(
        "environment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("label", sa.String(length=40), nullable=False),
        sa.Column("license_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("name IN ('DEV', 'UAT', 'PROD')", name=op.f("ck_environment_name")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_environment_tenant")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_environment")),
        sa.UniqueConstraint("license_id", name=op.f("uq_environment_license_id")),
        sa.UniqueConstraint("tenant", "name", "label", name=op.f("uq_environment_tenant_name_label")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stream", sa.String(length=40), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=60), nullable=False),
        sa.Column("schema_version", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("actor_name", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("network", sa.String(length=64), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["stream"], ["event_stream.stream"], name=op.f("fk_event_stream")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("stream", "sequence", name=op.f("uq_event_stream_sequence")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_actor_at", ["actor", "at", "id"], unique=False)
        batch_op.create_index("ix_event_at", ["at", "id"], unique=False)
        batch_op.create_index("ix_event_type_at", ["type", "at", "id"], unique=False)

    op.create_table(
        "person",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("credentials_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant", sa.Uuid(), nullable=True),
        sa.Column("team", sa.String(length=60), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("language IN ('en', 'zh')", name=op.f("ck_person_language")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_person_tenant")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("email", name=op.f("uq_person_email")),
    )
    op.create_table(
        "recipient",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("backup", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("key_kind", sa.String(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("key_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trust", sa.String(), nullable=True),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=True),
        sa.Column("change_confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("change_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("key_kind IN ('smime', 'openpgp')", name=op.f("ck_recipient_key_kind")),
        sa.CheckConstraint("trust IN ('ca', 'pinned')", name=op.f("ck_recipient_trust")),
        sa.CheckConstraint("language IN ('en', 'zh')", name=op.f("ck_recipient_language")),
        sa.ForeignKeyConstraint(["change_confirmed_by"], ["person.id"], name=op.f("fk_recipient_change_confirmed_by")),
        sa.ForeignKeyConstraint(["changed_by"], ["person.id"], name=op.f("fk_recipient_changed_by")),
        sa.ForeignKeyConstraint(["confirmed_by"], ["person.id"], name=op.f("fk_recipient_confirmed_by")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.id"], name=op.f("fk_recipient_tenant")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipient")),
        sa.UniqueConstraint("tenant", "address", name=op.f("uq_recipient_tenant_address")),
    )
    with op.batch_alter_table("recipient", schema=None) as batch_op:
        batch_op.create_index(
            "ix_recipient_key_ends",
            ["key_ends_at", "id"],
            unique=False,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_recipient_tenant"), ["tenant"], unique=False)

    op.create_table(
        "api_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=16), nullable=False),
        sa.Column("scopes", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_api_token_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
    )
    with op.batch_alter_table("api_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_token_person"), ["person"], unique=False)

    op.create_table(
        "application",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("environment", sa.Uuid(), nullable=True),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("renews", sa.Uuid(), nullable=True),
        sa.Column("copied_from", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=False),
        sa.Column("draft", sa.Text(), nullable=False),
        sa.Column("title", sa.String(length=260), nullable=False),
        sa.Column("attention", sa.Text(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft', 'submitted', 'approved', 'issued', 'delivered', 'activated', 'changes_requested', 'rejected', 'withdrawn', 'superseded', 'expired', 'revoked')",
            name=op.f("ck_application_status"),
        ),
        sa.ForeignKeyConstraint(["copied_from"], ["application.id"], name=op.f("fk_application_copied_from")),
        sa.ForeignKeyConstraint(["environment"], ["environment.id"], name=op.f("fk_application_environment")),
        sa.ForeignKeyConstraint(["owner"], ["person.id"], name=op.f("fk_application_owner")),
        sa.ForeignKeyConstraint(["renews"], ["application.id"], name=op.f("fk_application_renews")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
        sa.UniqueConstraint("number", name=op.f("uq_application_number")),
    )
    with op.batch_alter_table("application", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_application_environment"), ["environment"], unique=False)
        batch_op.create_index("ix_application_owner_updated", ["owner", "updated_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_application_renews"), ["renews"], unique=False)
        batch_op.create_index("ix_application_status_updated", ["status", "updated_at", "id"], unique=False)
        batch_op.create_index("ix_application_submitted", ["submitted_at", "id"], unique=False)
        batch_op.create_index("ix_application_updated", ["updated_at", "id"], unique=False)

    op.create_table(
        "idempotency_key",
        sa.Column("person", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("body_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_idempotency_key_person")),
        sa.PrimaryKeyConstraint("person", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("installation_id", sa.String(length=100), nullable=False),
        sa.Column("keyid", sa.String(length=64), nullable=False),
        sa.Column("environment", sa.Uuid(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["confirmed_by"], ["person.id"], name=op.f("fk_installation_confirmed_by")),
        sa.ForeignKeyConstraint(["environment"], ["environment.id"], name=op.f("fk_installation_environment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        sa.UniqueConstraint("installation_id", "keyid", name=op.f("uq_installation_installation_id_keyid")),
    )
    with op.batch_alter_table("installation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_installation_environment"), ["environment"], unique=False)
        batch_op.create_index(
            "ix_installation_unconfirmed",
            ["id"],
            unique=False,
            sqlite_where=sa.text("confirmed_at IS NULL"),
            postgresql_where=sa.text("confirmed_at IS NULL"),
        )

    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("ref", sa.Uuid(), nullable=True),
        sa.Column("recipient", sa.Uuid(), nullable=True),
        sa.Column("event", sa.Uuid(), nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("dedupe_key", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.String(length=80), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("deferred", sa.Integer(), nullable=False),
        sa.Column("published", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'running', 'done', 'dead', 'cancelled')", name=op.f("ck_job_state")),
        sa.ForeignKeyConstraint(["event"], ["event.id"], name=op.f("fk_job_event")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_job_dedupe_key")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index(
            "ix_job_cancelled",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'cancelled'"),
            postgresql_where=sa.text("state = 'cancelled'"),
        )
        batch_op.create_index(
            "ix_job_dead",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'dead'"),
            postgresql_where=sa.text("state = 'dead'"),
        )
        batch_op.create_index(
            "ix_job_due",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending', 'running')"),
            postgresql_where=sa.text("state IN ('pending', 'running')"),
        )
        batch_op.create_index("ix_job_ref", ["ref"], unique=False)

    op.create_table(
        "role_grant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('liaison', 'approver', 'administrator', 'operator', 'auditor')", name=op.f("ck_role_grant_role")
        ),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_role_grant_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grant")),
    )
    with op.batch_alter_table("role_grant", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_role_grant_person"), ["person"], unique=False)

    op.create_table(
        "one_time_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person", sa.Uuid(), nullable=False),
        sa.Column("invited_by", sa.String(length=200), nullable=True),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_one_time_link_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_link")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_one_time_link_token_hash")),
    )
    with op.batch_alter_table("one_time_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_one_time_link_person"), ["person"], unique=False)

    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_recovery_code_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("person", "code_hash", name=op.f("uq_recovery_code_person_code_hash")),
    )
    op.create_table(
        "second_factor",
        sa.Column("person", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_second_factor_person")),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_second_factor")),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("person", sa.Uuid(), nullable=False),
        sa.Column("waits_for_code", sa.Boolean(), nullable=False),
        sa.Column("browser", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_session_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_session_token_hash")),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_session_person"), ["person"], unique=False)

    op.create_table(
        "license",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application", sa.Uuid(), nullable=False),
        sa.Column("environment", sa.Uuid(), nullable=False),
        sa.Column("license_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("key_ids", sa.String(), nullable=False),
        sa.Column("payload_sha256", sa.String(length=64), nullable=False),
        sa.Column("envelope_sha256", sa.String(length=64), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("grace_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("superseded_by", sa.Uuid(), nullable=True),
        sa.Column("next_reminder_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("nudged_days", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "standing IN ('issued', 'scheduled', 'activated', 'superseded', 'expired', 'revoked')",
            name=op.f("ck_license_standing"),
        ),
        sa.ForeignKeyConstraint(["application"], ["application.id"], name=op.f("fk_license_application")),
        sa.ForeignKeyConstraint(["environment"], ["environment.id"], name=op.f("fk_license_environment")),
        sa.ForeignKeyConstraint(["superseded_by"], ["license.id"], name=op.f("fk_license_superseded_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_license")),
        sa.UniqueConstraint("application", name=op.f("uq_license_application")),
        sa.UniqueConstraint("license_id", "version", name=op.f("uq_license_license_id_version")),
        sa.UniqueConstraint("payload_sha256", name=op.f("uq_license_payload_sha256")),
    )
    with op.batch_alter_table("license", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_license_environment"), ["environment"], unique=False)
        batch_op.create_index(
            "ix_license_not_activated",
            ["delivered_at"],
            unique=False,
            sqlite_where=sa.text("standing = 'issued'"),
            postgresql_where=sa.text("standing = 'issued'"),
        )
        batch_op.create_index("ix_license_standing_until", ["standing", "valid_until", "id"], unique=False)
        batch_op.create_index("ix_license_until", ["valid_until", "id"], unique=False)
        batch_op.create_index(
            "ix_license_watched",
            ["next_reminder_at"],
            unique=False,
            sqlite_where=sa.text("next_reminder_at IS NOT NULL"),
            postgresql_where=sa.text("next_reminder_at IS NOT NULL"),
        )
        batch_op.create_index(
            "uq_license_one_activated",
            ["license_id"],
            unique=True,
            sqlite_where=sa.text("standing = 'activated'"),
            postgresql_where=sa.text("standing = 'activated'"),
        )

    op.create_table(
        "policy",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("adopted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_policy")),
    )
    op.create_table(
        "escalation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("group_name", sa.String(), nullable=False),
        sa.Column("explanation", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("step IN ('remind', 'add')", name=op.f("ck_escalation_step")),
        sa.ForeignKeyConstraint(["application"], ["application.id"], name=op.f("fk_escalation_application")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_escalation")),
        sa.UniqueConstraint(
            "application",
            "revision",
            "rule",
            "step",
            "group_name",
            "at",
            name=op.f("uq_escalation_application_revision_rule_step_group_name_at"),
        ),
    )
    with op.batch_alter_table("escalation", schema=None) as batch_op:
        batch_op.create_index(
            "ix_escalation_due",
            ["at"],
            unique=False,
            sqlite_where=sa.text("taken_at IS NULL"),
            postgresql_where=sa.text("taken_at IS NULL"),
        )

    op.create_table(
        "requirement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("group_name", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("explanation", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["application"], ["application.id"], name=op.f("fk_requirement_application")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requirement")),
        sa.UniqueConstraint(
            "application", "revision", "rule", "group_name", name=op.f("uq_requirement_application_revision_rule_group_name")
        ),
    )
    op.create_table(
        "revision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("author", sa.Uuid(), nullable=False),
        sa.Column("approvals_from", sa.Integer(), nullable=False),
        sa.Column("policy_sha256", sa.String(length=64), nullable=False),
        sa.Column("distinct_people", sa.Integer(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["application"], ["application.id"], name=op.f("fk_revision_application")),
        sa.ForeignKeyConstraint(["author"], ["person.id"], name=op.f("fk_revision_author")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revision")),
        sa.UniqueConstraint("application", "number", name=op.f("uq_revision_application_number")),
    )
    op.create_table(
        "delegation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("giver", sa.Uuid(), nullable=False),
        sa.Column("delegate", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["delegate"], ["person.id"], name=op.f("fk_delegation_delegate")),
        sa.ForeignKeyConstraint(["giver"], ["person.id"], name=op.f("fk_delegation_giver")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delegation")),
    )
    with op.batch_alter_table("delegation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delegation_delegate"), ["delegate"], unique=False)
        batch_op.create_index(batch_op.f("ix_delegation_giver"), ["giver"], unique=False)

    op.create_table(
        "vote",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("person", sa.Uuid(), nullable=False),
        sa.Column("on_behalf_of", sa.Uuid(), nullable=True),
        sa.Column("choice", sa.String(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("groups", sa.String(), nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("event_hash", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["application"], ["application.id"], name=op.f("fk_vote_application")),
        sa.ForeignKeyConstraint(["on_behalf_of"], ["person.id"], name=op.f("fk_vote_on_behalf_of")),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_vote_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vote")),
        sa.UniqueConstraint("application", "revision", "person", name=op.f("uq_vote_application_revision_person")),
    )
    with op.batch_alter_table("vote", schema=None) as batch_op:
        batch_op.create_index("ix_vote_person_at", ["person", "at", "id"], unique=False)

    op.create_table(
        "revocation",
        sa.Column("license", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("asked_by", sa.String(length=100), nullable=False),
        sa.Column("asked_by_name", sa.String(length=200), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.String(length=100), nullable=True),
        sa.Column("confirmed_by_name", sa.String(length=200), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["license"], ["license.id"], name=op.f("fk_revocation_license")),
        sa.PrimaryKeyConstraint("license", name=op.f("pk_revocation")),
    )
    op.create_table(
        "revocation_list",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("payload_sha256", sa.String(length=64), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_revocation_list")),
        sa.UniqueConstraint("payload_sha256", name=op.f("uq_revocation_list_payload_sha256")),
    )

    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job", sa.Uuid(), nullable=False),
        sa.Column("application", sa.Uuid(), nullable=True),
        sa.Column("license", sa.Uuid(), nullable=True),
        sa.Column("recipient", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("mime", sa.LargeBinary(), nullable=True),
        sa.Column("mime_sha256", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("data_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("smtp_code", sa.Integer(), nullable=True),
        sa.Column("smtp_reply", sa.Text(), nullable=True),
        sa.Column("resolved_by", sa.String(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("downloaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('prepared', 'sending', 'accepted', 'in_doubt', 'refused', 'bounced')", name=op.f("ck_delivery_state")
        ),
        sa.ForeignKeyConstraint(["application"], ["application.id"], name=op.f("fk_delivery_application")),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_delivery_job")),
        sa.ForeignKeyConstraint(["license"], ["license.id"], name=op.f("fk_delivery_license")),
        sa.ForeignKeyConstraint(["recipient"], ["recipient.id"], name=op.f("fk_delivery_recipient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("job", name=op.f("uq_delivery_job")),
        sa.UniqueConstraint(
            "license", "recipient", "channel", "kind", "round", name=op.f("uq_delivery_license_recipient_channel_kind_round")
        ),
        sa.UniqueConstraint("message_id", name=op.f("uq_delivery_message_id")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delivery_application"), ["application"], unique=False)
        batch_op.create_index("ix_delivery_channel_created", ["channel", "created_at", "id"], unique=False)
        batch_op.create_index("ix_delivery_created", ["created_at", "id"], unique=False)
        batch_op.create_index("ix_delivery_kind_created", ["kind", "created_at", "id"], unique=False)
        batch_op.create_index("ix_delivery_state_created", ["state", "created_at", "id"], unique=False)

    op.create_table(
        "attempt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("delivery", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("smtp_code", sa.Integer(), nullable=True),
        sa.Column("smtp_reply", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("result IN ('accepted', 'put_off', 'refused', 'unanswered')", name=op.f("ck_attempt_result")),
        sa.ForeignKeyConstraint(["delivery"], ["delivery.id"], name=op.f("fk_attempt_delivery")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sa.UniqueConstraint("delivery", "marked_at", name=op.f("uq_attempt_delivery_marked_at")),
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attempt_delivery"), ["delivery"], unique=False)

    op.create_table(
        "bounce",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("delivery", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("proof", sa.String(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reporter", sa.String(length=200), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("proof IN ('envelope', 'return_path', 'message_id')", name=op.f("ck_bounce_proof")),
        sa.CheckConstraint("verdict IN ('failed', 'delayed', 'other')", name=op.f("ck_bounce_verdict")),
        sa.ForeignKeyConstraint(["delivery"], ["delivery.id"], name=op.f("fk_bounce_delivery")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bounce")),
        sa.UniqueConstraint("delivery", "digest", name=op.f("uq_bounce_delivery_digest")),
    )

    op.create_table(
        "receipt",
        sa.Column("receipt_id", sa.String(length=100), nullable=False),
        sa.Column("installation", sa.Uuid(), nullable=False),
        sa.Column("license", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["installation"], ["installation.id"], name=op.f("fk_receipt_installation")),
        sa.ForeignKeyConstraint(["license"], ["license.id"], name=op.f("fk_receipt_license")),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_receipt")),
    )
    with op.batch_alter_table("receipt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_receipt_installation"), ["installation"], unique=False)
        batch_op.create_index(batch_op.f("ix_receipt_license"), ["license"], unique=False)

    op.create_table(
        "reminder",
        sa.Column("license", sa.Uuid(), nullable=False),
        sa.Column("expiry", sa.Date(), nullable=False),
        sa.Column("days_ahead", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("job", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('queued', 'sent', 'skipped', 'failed')", name=op.f("ck_reminder_state")),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_reminder_job")),
        sa.ForeignKeyConstraint(["license"], ["license.id"], name=op.f("fk_reminder_license")),
        sa.PrimaryKeyConstraint("license", "expiry", "days_ahead", "recipient", name=op.f("pk_reminder")),
        sa.UniqueConstraint("job", name=op.f("uq_reminder_job")),
    )
    with op.batch_alter_table("reminder", schema=None) as batch_op:
        batch_op.create_index("ix_reminder_created", ["created_at", "license", "days_ahead", "recipient"], unique=False)

    op.create_table(
        "portal_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("delivery", sa.Uuid(), nullable=False),
        sa.Column("license", sa.Uuid(), nullable=False),
        sa.Column("recipient", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wrong_codes", sa.Integer(), nullable=False),
        sa.Column("downloaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["delivery"], ["delivery.id"], name=op.f("fk_portal_link_delivery")),
        sa.ForeignKeyConstraint(["license"], ["license.id"], name=op.f("fk_portal_link_license")),
        sa.ForeignKeyConstraint(["recipient"], ["recipient.id"], name=op.f("fk_portal_link_recipient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_link")),
        sa.UniqueConstraint("delivery", name=op.f("uq_portal_link_delivery")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_portal_link_token_hash")),
    )
    op.create_table(
        "portal_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("link", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("browser_hash", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["link"], ["portal_link.id"], name=op.f("fk_portal_code_link")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_code")),
    )
    with op.batch_alter_table("portal_code", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_portal_code_link"), ["link"], unique=False)
    op.create_table(
        "folded_letter",
        sa.Column("job", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["job.id"], name=op.f("fk_folded_letter_digest")),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_folded_letter_job")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_folded_letter")),
    )
    with op.batch_alter_table("folded_letter", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_folded_letter_digest"), ["digest"], unique=False)
    op.create_table(
        "finding",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("stream", sa.String(length=40), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_in", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
        sa.UniqueConstraint("key", name=op.f("uq_finding_key")),
    )
    with op.batch_alter_table("finding", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_finding_told_in"), ["told_in"], unique=False)

    if op.get_bind().dialect.name == "postgresql":
        # What is encrypted cannot be compressed; trying costs as much as all else about writing a message.
        op.execute("ALTER TABLE delivery ALTER COLUMN mime SET STORAGE EXTERNAL")
    for table in WRITTEN_ONCE:
        for statement in TRIGGERS[op.get_bind().dialect.name]:
            op.execute(statement.format(table=table))


def downgrade() -> None:
    raise RuntimeError("the first schema has nothing before it; restore a backup instead")
