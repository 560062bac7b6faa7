"""Pages beside Airflow's own, and the links that lead to them."""
