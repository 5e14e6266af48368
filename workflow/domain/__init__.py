"""The rules, as values and functions: no clock, no database, no settings, no framework."""
