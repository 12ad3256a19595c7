# The jdobb service, with the drivers of every backend. docker-compose.yml runs it on Redis; alone it uses SQLite:
#
#   docker build -t jdobb .
#   docker run -p 127.0.0.1:8000:8000 -v jdobb-data:/data -e JDOBB_API_KEYS=... jdobb
#
# Handlers of your own: derive an image with your module in /app and name it after the image,
# as in `docker run ... your-image myapp.jobs:router`. Without any, it takes jobs and a `jdobb worker` on its volume runs
# them.

FROM python:3.13-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH

WORKDIR /build
COPY requirements/service.txt requirements/
RUN pip install --require-hashes --requirement requirements/service.txt
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && pip install --no-deps dist/*.whl


FROM python:3.13-slim

RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin jdobb \
    && install --directory --owner=jdobb --group=jdobb /data
COPY --from=build /venv /venv

# The container listens on all its addresses, so it needs API keys: `jdobb keys new` makes one, and JDOBB_API_KEYS
# brings it in. Without keys the service refuses to start on an address other than loopback, unless
# JDOBB_ALLOW_ANONYMOUS=true; then publish the port on 127.0.0.1 only and name the host in JDOBB_ALLOWED_HOSTS.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    JDOBB_HOST=0.0.0.0 \
    JDOBB_PORT=8000 \
    JDOBB_BACKEND_URL=sqlite:////data/jdobb.db

USER 10001:10001
WORKDIR /app
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"JDOBB_PORT\"]}/livez', timeout=4)"]
ENTRYPOINT ["jdobb", "serve"]
