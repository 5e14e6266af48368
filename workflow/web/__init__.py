"""Everything that speaks HTTP: the shared shell, the desk's pages and API, the console's pages."""
