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

# The ledger gets an owner whom nobody can log in as, so that the platform itself can add entries and do nothing else to them: its
# owner could take away what refuses the rest (tasks/stores/append_only.py asks for this once the table is there).
psql --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=perennial <<'SQL'
CREATE ROLE ledger_owner NOLOGIN;
CREATE FUNCTION public.give_away_ledger() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$ BEGIN
    ALTER TABLE public.ledger OWNER TO ledger_owner;
    ALTER FUNCTION public.ledger_is_append_only() OWNER TO ledger_owner;
    GRANT SELECT, INSERT ON public.ledger TO perennial;
END $$;
REVOKE ALL ON FUNCTION public.give_away_ledger() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.give_away_ledger() TO perennial;
SQL
