"""The pages of the console and the addresses for programs."""

from workflow.web.console.pages import api, history, language, license_page, sign_in, uploads

ROUTERS = (sign_in.router, language.router, license_page.router, uploads.router, history.router, api.router, api.for_programs)
