"""The desk's pages: each parses, opens the transaction, calls one service, and shows the result."""

from fastapi import APIRouter

from workflow.web.desk.pages import (
    application,
    application_form,
    applications,
    approvals,
    audit,
    away,
    choosing_password,
    customers,
    deliveries,
    expiry,
    health,
    home,
    letters,
    licenses,
    operations,
    people,
    portal,
    profile,
    receipts,
    security,
    sign_in,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    sign_in.router,
    choosing_password.router,
    portal.router,
    applications.router,
    application_form.router,  # /applications/new before /applications/{number}
    application.router,
    approvals.router,
    licenses.router,
    receipts.router,
    expiry.router,
    deliveries.router,
    letters.router,
    audit.router,
    customers.router,
    operations.router,
    away.for_operators,  # /people/away before /people/{person_id}
    people.router,
    security.router,
    away.router,
    profile.router,
    home.router,  # last: it answers for every address nobody else knows
)
