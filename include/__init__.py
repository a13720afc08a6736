"""The product: pure rooms, the adapters that meet the world, and the services that run beside Airflow."""
