"""The `licdesk` command."""
