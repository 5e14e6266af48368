"""Celery workers and the relay: the only place that knows the broker."""
