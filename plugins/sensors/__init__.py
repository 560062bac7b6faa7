"""Sensors: tasks of any DAG that wait for what the platform decides."""
