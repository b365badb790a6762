# camunda-auth-proxy: docker build --tag camunda-auth-proxy . && docker run --env-file ... (README, "In a container").
# A release names the base by digest: scripts/release-image asks the registry once, and passes PYTHON_IMAGE.
# Not here: where this was written no registry could be asked for one, and an invented digest would be worse than none.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# What compiles stays in this stage, too. The compiler's version is the distribution's.
ARG BUILD_PACKAGES="gcc libc6-dev"
# hadolint ignore=DL3008,SC2086
RUN apt-get update && apt-get install --yes --no-install-recommends ${BUILD_PACKAGES} && rm -rf /var/lib/apt/lists/*
# Two environments: what builds stays in this stage, what runs has no pip.
RUN python -m venv /opt/build && python -m venv --without-pip /opt/venv
COPY requirements.lock requirements-build.lock ./
RUN /opt/build/bin/pip install --require-hashes --only-binary=:all: --requirement requirements-build.lock \
    && /opt/build/bin/pip --python /opt/venv/bin/python install \
        --require-hashes --only-binary=:all: --requirement requirements.lock
COPY pyproject.toml README.md LICENSE .git_archival.txt ./
COPY scripts/compile_hook.py ./scripts/
COPY proxy ./proxy
# The hot path is compiled. No index: the project itself is all that is added. There is no .git here: without VERSION it
# is `fallback-version` of pyproject.toml.
ARG VERSION
RUN SETUPTOOLS_SCM_PRETEND_VERSION=$VERSION HATCH_BUILD_HOOKS_ENABLE=1 /opt/build/bin/hatchling build --target wheel --directory /wheels \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-index --no-deps /wheels/*.whl

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
# All is imported once. The official image has no bytecode of the standard library, and at run time nobody may write
# any: each health check would compile what it imports.
RUN ["python", "-c", "import importlib, pkgutil, proxy; [importlib.import_module(m.name) for m in pkgutil.walk_packages(proxy.__path__, 'proxy.')]"]
ENV PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /
# The probe port alone, which carries no credential: `docker run --publish-all` opens on every address what stands here.
EXPOSE 19091
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=3s --timeout=3s --start-period=10s --retries=3 CMD ["camunda-auth-proxy", "health"]
ENTRYPOINT ["camunda-auth-proxy"]
CMD ["run"]
# Last, for they change with every build.
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="camunda-auth-proxy" \
      org.opencontainers.image.description="A localhost sidecar that adds a fresh credential to every request to Camunda 8" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
