# `score` in a container: what the lock file lists, by hash, on a base that is pinned by digest, as a user of its own.
#
#     docker build -t rescore .
#     docker run --rm -v rescore:/var/lib/rescore rescore demo
#
# The digest is that of the multi-architecture index. To renew it, with the version in the tag:
#
#     docker buildx imagetools inspect python:3.12-slim-bookworm
#
# and check the answer against the list of the Docker Official Images before it is put here.
ARG PYTHON=docker.io/library/python:3.12.15-slim-bookworm@sha256:54c85f3c47607a77f32adec749d3c81d1348bf25833671f512b26a9b6d778cb3

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# Libraries first: they change less often than the code. pip compiles them to bytecode, and the program below too.
COPY requirements-build.txt requirements-runtime.txt ./
RUN python -m venv --without-pip /opt/rescore \
 && pip --python /opt/rescore install --require-hashes -r requirements-runtime.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r requirements-build.txt
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && pip --python /opt/rescore install --no-deps --no-index /dist/*.whl

FROM ${PYTHON}
# LightGBM's wheel leaves the OpenMP runtime to the system; Debian signs its packages.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/*
# A fixed uid, so that a volume keeps its owner when the image is built again.
RUN groupadd --gid 10001 rescore \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/rescore --shell /usr/sbin/nologin rescore \
 && install -d -o rescore -g rescore /var/lib/rescore
COPY --from=build /opt/rescore /opt/rescore
ENV PATH=/opt/rescore/bin:$PATH SCORE_HOME=/var/lib/rescore
USER 10001:10001
WORKDIR /var/lib/rescore
VOLUME /var/lib/rescore
# A night is over when it ends: there is no service to ask for its health.
HEALTHCHECK NONE
ENTRYPOINT ["score"]
CMD ["--help"]
