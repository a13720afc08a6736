"""Pages and links inside the Airflow UI."""
