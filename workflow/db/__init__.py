"""The desk's database: tables, statements, and the outbox of events and jobs. All SQL of the desk lives here."""
