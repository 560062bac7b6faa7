# One promoted version and the server that answers for it: `make image MODEL=... VERSION=...` builds it, out of the files that
# `perennial image` wrote. docs/serving-images.md says how it is run.
ARG SERVER
FROM ${SERVER}
COPY code/ /opt/perennial/containers/serving/
COPY model/ /opt/perennial/model/
ARG MODEL
ARG VERSION
ARG RUN_ID
ARG ARCHIVE_SHA256
ARG PROMOTED_BY
LABEL org.opencontainers.image.title="${MODEL}" \
      org.opencontainers.image.version="${VERSION}" \
      perennial.run_id="${RUN_ID}" \
      perennial.archive_sha256="${ARCHIVE_SHA256}" \
      perennial.promoted_by="${PROMOTED_BY}"
ENV PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["sh", "-c", "PERENNIAL_INFERENCE_PORT=$PORT exec python containers/inference/health.py"]
CMD ["python", "containers/serving/serve.py"]
