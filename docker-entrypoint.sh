#!/usr/bin/env bash
# Airflow's settings and connections come from REDSTART_* alone, as they do without containers.
set -eu
eval "$(python -m include.services.airflow_env)"
exec "$@"
