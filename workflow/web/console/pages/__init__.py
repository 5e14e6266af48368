"""The pages of the console and the addresses for programs."""

from workflow.web.console.pages import api, history, language, license_page, revocation_list, sign_in, uploads

ROUTERS = (
    sign_in.router,
    language.router,
    license_page.router,
    uploads.router,
    revocation_list.router,
    history.router,
    api.router,
    api.for_programs,
)
