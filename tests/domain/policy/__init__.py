"""The approval policy, as a value: reading, matching, lint, business time."""
