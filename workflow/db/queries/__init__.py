"""Every SELECT and UPDATE of the desk, by subject. A `get_` raises NotFound, a `find_` returns None."""
