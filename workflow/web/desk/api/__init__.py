"""The desk's REST API: one module per resource. The same services as the pages, as JSON."""
