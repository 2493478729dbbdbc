# A worker that computes on CPUs, by OpenVINO alone: torch and the CUDA libraries it brings are
# four times larger than all the rest. Models come with their OpenVINO graph (`wsi models convert`),
# as those that come with it do, which are made in a stage that has torch and stays behind.
# It classifies single images too; explanations need torch: see worker-cuda.Dockerfile.
#   docker build -f docker/worker.Dockerfile -t wsi-worker .
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
# The system's authorities, among which a network may have put its own.
ENV UV_SYSTEM_CERTS=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN python -m venv /opt/wsi && python -m pip install --no-cache-dir --quiet uv
WORKDIR /build
# What changes seldom comes first. Versions and hashes are those of the lock.
COPY pyproject.toml requirements.lock ./
RUN uv pip install --quiet --python /opt/wsi/bin/python \
      --verify-hashes --constraint requirements.lock --requirements pyproject.toml --extra openvino --extra cut-out --extra service
COPY README.md LICENSE ./
COPY wsi_pipeline ./wsi_pipeline
COPY api ./api
COPY workers ./workers
RUN uv pip install --quiet --python /opt/wsi/bin/python --no-deps .

FROM build AS models
RUN uv pip install --quiet --python /opt/wsi/bin/python \
      --verify-hashes --constraint requirements.lock --requirements pyproject.toml --extra inference
RUN for model in lymph-node demo; do \
      WSI_MODELS_DIR=/models WSI_CACHE_DIR=/tmp/cache /opt/wsi/bin/wsi models convert $model || exit 1; \
    done

FROM ${BASE}
RUN groupadd --gid 10001 wsi && useradd --uid 10001 --gid wsi --no-create-home --home-dir /data wsi \
 && install -d -o wsi -g wsi -m 0750 /data /models
COPY --from=build /opt/wsi /opt/wsi
COPY --from=models /models /opt/models
ENV PATH=/opt/wsi/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WSI_DATA_DIR=/data \
    WSI_CACHE_DIR=/data/cache \
    WSI_MODELS_DIR=/models \
    WSI_DEVICE=cpu
USER 10001:10001
WORKDIR /data
# Written to: /data and /tmp; the rest may be read-only.
VOLUME ["/data", "/models"]
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 \
  CMD ["python", "-m", "workers.health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["wsi"]
CMD ["worker"]
