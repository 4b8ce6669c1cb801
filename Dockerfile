# The service as an image. It runs as an ordinary user and needs a migrated
# PostgreSQL named by COUPON_DATABASE_URL; without one it keeps an embedded
# PostgreSQL under /data, for which a volume must then be mounted there.
#
# It listens on all addresses of its container, so it starts only with a token's hash in
# COUPON_ADMIN_TOKEN_HASHES ("docker run --rm IMAGE token create --role admin" makes one),
# or with COUPON_INSECURE=true, for a port that is published on one machine alone.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# The dependencies come first: they change less often than the sources, and this
# layer is built again only when the pins change.
COPY requirements/runtime.txt requirements/
RUN python -m venv /opt/coupon-service \
    && /opt/coupon-service/bin/pip install --require-hashes --only-binary :all: -r requirements/runtime.txt

# pip fetches the build backend for this one step, apart from the environment
# above, so nothing that only builds ends up in the image.
COPY pyproject.toml README.md ./
COPY src src
COPY migrations migrations
RUN python -m pip wheel --no-deps --wheel-dir wheels . \
    && /opt/coupon-service/bin/pip install --no-deps --no-index wheels/*.whl \
    && /opt/coupon-service/bin/python -m pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin coupon \
    && install --directory --owner coupon --mode 700 /data
COPY --from=build /opt/coupon-service /opt/coupon-service
ENV PATH=/opt/coupon-service/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    COUPON_DATA_DIR=/data
USER coupon
WORKDIR /data
EXPOSE 8080

# Ready means that the database answers and is migrated. The start period leaves
# room for the recovery of an embedded PostgreSQL.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; connection = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('COUPON_PORT') or 8080), timeout=4); connection.request('GET', '/readyz'); sys.exit(connection.getresponse().status != 200)"]

ENTRYPOINT ["coupon-service"]
CMD ["serve", "--host", "0.0.0.0"]
