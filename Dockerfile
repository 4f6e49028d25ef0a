# docker build --tag sdmetrics .
# docker build --tag sdmetrics:gpu --build-arg RUNTIME=gpu .
ARG RUNTIME=cpu

FROM python:3.12-slim-trixie AS base-cpu

FROM nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04 AS base-gpu
# The security updates of a distribution are taken as they are; Python 3.12 is Ubuntu's own.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# hadolint ignore=DL3006
FROM base-${RUNTIME} AS installed
ARG RUNTIME
COPY . /source
RUN python3 -m venv /opt/sdmetrics \
    && /opt/sdmetrics/bin/python -m pip install --no-cache-dir --disable-pip-version-check "/source[${RUNTIME}]" \
    && /opt/sdmetrics/bin/python -m pip uninstall --yes pip

# hadolint ignore=DL3006
FROM base-${RUNTIME}
COPY --from=installed /opt/sdmetrics /opt/sdmetrics
RUN useradd --create-home --uid 10001 sdmetrics && install --directory --owner sdmetrics /work
# Kernels are compiled once a container, whoever runs it: with --user there may be no home.
ENV PATH=/opt/sdmetrics/bin:$PATH NUMBA_CACHE_DIR=/tmp/numba
USER 10001
WORKDIR /work
ENTRYPOINT ["sdmetrics"]
CMD ["--help"]
