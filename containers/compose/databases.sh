#!/bin/sh
# Make the four databases, each with a user of its own that can open no other. The postgres image runs this once, at its first start.
set -eu

make_database() { # name, password
    psql --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres \
        --set=name="$1" --set=password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

make_database airflow "$AIRFLOW_DATABASE_PASSWORD"
make_database mlflow "$MLFLOW_DATABASE_PASSWORD"
make_database perennial "$PLATFORM_DATABASE_PASSWORD"
make_database gateway "$GATEWAY_DATABASE_PASSWORD"
