# The service with the trained pipeline. `make run` makes the wheel in packages/ first.
FROM python:3.12-slim

ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
WORKDIR /app
RUN useradd --create-home --shell /usr/sbin/nologin app

# The pins of requirements.txt, but only for what serving needs: no TensorFlow is among it.
COPY requirements.txt setup.cfg pyproject.toml README.md LICENSE ./
COPY ner_lstm_component ner_lstm_component
COPY packages/en_ner_lstm-*.whl packages/
RUN pip install --constraint requirements.txt ".[serve]" packages/en_ner_lstm-*.whl

COPY wsgi.py ./
USER app
EXPOSE 5000
CMD ["flask", "run", "--host=0.0.0.0", "--port=5000"]
