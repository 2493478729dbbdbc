# A worker that computes on an NVIDIA GPU, and that draws explanations. The CUDA libraries come
# with torch; the host has the driver and the NVIDIA container toolkit:
#   docker build -f docker/worker-cuda.Dockerfile -t wsi-worker-cuda .
#   docker run --gpus all wsi-worker-cuda
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
# The system's authorities, among which a network may have put its own.
ENV UV_SYSTEM_CERTS=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN python -m venv /opt/wsi && python -m pip install --no-cache-dir --quiet uv
WORKDIR /build
# What changes seldom comes first. Versions and hashes are those of the lock.
COPY pyproject.toml requirements.lock ./
RUN uv pip install --quiet --python /opt/wsi/bin/python \
      --verify-hashes --constraint requirements.lock --requirements pyproject.toml --extra images --extra service
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
    WSI_DEVICE=cuda:0 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
WORKDIR /data
# Written to: /data, /tmp, and /models where the models that come with it are built; the rest may be read-only.
VOLUME ["/data", "/models"]
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 \
  CMD ["python", "-m", "workers.health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["wsi"]
CMD ["worker"]
