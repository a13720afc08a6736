"""The thin Airflow layer and the doors for people; decisions live in include/."""
