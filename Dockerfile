# onnx-cam on a CPU. Two images: the command line (--target cli), and the server, which is the default.
# docs/install.md shows how to build and to run them.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY models/catalogue.toml models/
COPY onnx_cam onnx_cam
ARG EXTRAS=cpu,serve
RUN python -m venv /opt/onnx-cam \
    && /opt/onnx-cam/bin/pip install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]" \
    && /opt/onnx-cam/bin/pip uninstall --yes --quiet pip

FROM python:${PYTHON}-slim AS cli
COPY --from=build /opt/onnx-cam /opt/onnx-cam
# Whatever is kept goes to /tmp, the one folder that need be writable. ONNX Runtime's telemetry writes below HOME.
ENV PATH=/opt/onnx-cam/bin:$PATH \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 65532:65532
WORKDIR /work
# As process 1 the program has to be asked to end, as with Ctrl-C.
STOPSIGNAL SIGINT
ENTRYPOINT ["onnx-cam"]
CMD ["--help"]

FROM cli AS serve
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/health'); assert c.getresponse().status == 200"]
# The server listens for other machines, so it asks for a token: the variable ONNX_CAM_TOKEN.
ENTRYPOINT ["onnx-cam", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["model.onnx"]
