# One image for every service of docker-compose.yaml: Airflow's components, the local cloud, its traffic.
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends git make bash && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/redstart
COPY requirements.txt constraints.txt ./
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir -r requirements.txt -c constraints.txt \
    && .venv/bin/pip install --no-cache-dir asyncpg==0.32.0 \
    && touch .venv/.installed
COPY . .
RUN useradd --create-home --uid 50000 redstart && mkdir -p /var/lib/redstart && chown redstart /var/lib/redstart
USER redstart
ENV PATH=/opt/redstart/.venv/bin:$PATH \
    PYTHONPATH=/opt/redstart:/opt/redstart/plugins \
    REDSTART_HOME=/var/lib/redstart
ENTRYPOINT ["/opt/redstart/docker-entrypoint.sh"]
