# One image for every process; the command says which: licdesk serve, relay, worker general, worker signing, witness, beat, console.
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
COPY requirements/setup.txt requirements/run.txt requirements/
RUN pip install --no-cache-dir --require-hashes --requirement requirements/setup.txt \
 && uv venv /opt/licdesk \
 && uv pip install --no-cache --python /opt/licdesk/bin/python --compile-bytecode --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md ./
COPY workflow workflow
COPY workers workers
COPY templates templates
RUN python -m hatchling build --target wheel \
 && uv pip install --no-cache --python /opt/licdesk/bin/python --compile-bytecode --no-deps dist/*.whl

FROM python:${PYTHON}
# A number and not a name, so that an orchestrator can see that it is not root.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin licdesk \
 && install --directory --owner=10001 --mode=0700 /data /keys /auditor-keys /console \
 && install --directory --owner=10001 --mode=0755 /trust /checkpoints
COPY --from=build /opt/licdesk /opt/licdesk
ENV PATH=/opt/licdesk/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LICDESK_DATA_DIR=/data
USER 10001
WORKDIR /data
ENTRYPOINT ["licdesk"]
CMD ["--help"]
