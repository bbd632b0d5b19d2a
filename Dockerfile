# The service with the trained pipeline. The image keeps only the last of these stages:
#   builder      builds this package's wheel, with a compiler that the slim image lacks
#   pipeline     takes the pipeline's wheel from packages/, or trains it on the embedded corpus
#   environment  installs what serving needs, as pinned in requirements.txt, without TensorFlow
ARG PYTHON=python:3.12

FROM ${PYTHON} AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements.txt ./
RUN pip install --constraint requirements.txt setuptools wheel cython
COPY LICENSE README.md pyproject.toml setup.cfg setup.py ./
COPY ner_lstm_component ner_lstm_component
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheels .

# The wheel may be missing. COPY fails only if none of its sources exists, and the first one does.
FROM builder AS pipeline
COPY requirements.txt packages/en_ner_lstm-*.whl packages/
COPY configs configs
COPY corpus corpus
COPY scripts scripts
COPY project.yml ./
RUN set -e; \
    if ! ls packages/en_ner_lstm-*.whl; then \
        pip install --constraint requirements.txt build "$(ls wheels/ner_lstm_component-*.whl)[train]"; \
        python -m spacy project run all .; \
    fi; \
    mv packages/en_ner_lstm-*.whl wheels

# The last line loads the service, so that missing or conflicting packages fail the build.
FROM pipeline AS environment
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --constraint requirements.txt \
        "$(ls wheels/ner_lstm_component-*.whl)[serve]" wheels/en_ner_lstm-*.whl \
    && /opt/venv/bin/python -c "from ner_lstm_component.app import create_app; create_app('en_ner_lstm')"

FROM ${PYTHON}-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin app
COPY --from=environment /opt/venv /opt/venv
WORKDIR /app
USER 10001:10001
EXPOSE 5000
# Bypasses a proxy that Docker may have been configured to use.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:5000/healthz', timeout=4)"]
# Options of the server follow the image's name: docker run IMAGE --workers 4
ENTRYPOINT ["ner-lstm", "serve", "en_ner_lstm", "--host", "0.0.0.0", "--port", "5000"]
CMD ["--workers", "2"]
