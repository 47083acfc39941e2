# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/bff
COPY requirements.lock .
RUN /opt/bff/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md ./
COPY bff bff
COPY upstreams upstreams
COPY contracts contracts
COPY demo demo
RUN /opt/bff/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home bff
COPY --from=build /opt/bff /opt/bff
WORKDIR /srv
COPY config.yaml .
USER bff
ENV PATH=/opt/bff/bin:$PATH BFF_SERVER__HOST=0.0.0.0 BFF_OPS__HOST=0.0.0.0
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9090/livez', timeout=2)"]
ENTRYPOINT ["bff"]
CMD ["serve"]
