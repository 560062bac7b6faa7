"""How Airflow reaches us: operators, a trigger, links, pages and the makers of DAGs.

Thin; what is done lies in `tasks`.
"""
