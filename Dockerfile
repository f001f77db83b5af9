# The emulator of Pinterest's API as an image; docs/testing.md shows how to use it.
#
#   docker build --tag pinterest-emulator .
#   docker run --rm --publish 127.0.0.1:8765:8765 \
#     --env PINTEREST_EMULATOR_ADMIN_TOKEN=at-least-16-characters pinterest-emulator

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY pinterest_audiences ./pinterest_audiences
RUN python -m venv /opt/emulator \
    && /opt/emulator/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.13-slim
LABEL org.opencontainers.image.title="pinterest-audiences emulator" \
      org.opencontainers.image.description="An offline emulator of Pinterest's customer lists" \
      org.opencontainers.image.licenses="MIT"
# A number, so that Kubernetes can tell that it is not root.
RUN useradd --system --no-create-home --uid 10001 emulator \
    && install --directory --owner emulator /data
COPY --from=build /opt/emulator /opt/emulator
ENV PATH="/opt/emulator/bin:$PATH" PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
EXPOSE 8765
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8765, timeout=2); c.request('GET', '/_emulator/health'); exit(c.getresponse().status != 200)"]
# The admin endpoints require PINTEREST_EMULATOR_ADMIN_TOKEN; without it the container ends at once.
ENTRYPOINT ["python", "-m", "pinterest_audiences.emulator", "--host", "0.0.0.0", "--allow-network", "--port", "8765"]
