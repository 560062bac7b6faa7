"""What Perennial does, one verb a module. Nothing here imports Airflow."""
