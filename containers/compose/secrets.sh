#!/bin/sh
# Put what is missing into .env: the names of this installation, and secrets of its own. What is there stays as it is.
. "$(dirname "$0")/common.sh"

random() { head -c "$1" /dev/urandom | od -An -tx1 | tr -d ' \n'; }
ensure() { [ -n "$(setting "$1")" ] || set_setting "$1" "$2"; }

name_project
if [ -z "$(setting POSTGRES_PASSWORD)" ] && docker volume inspect "${project}_postgres" >/dev/null 2>&1; then
    fail "There are databases of this platform (volume ${project}_postgres), but $environment_file with their passwords is gone." \
        "Put it back, from a backup for instance, or remove everything: make down"
fi
if [ ! -f "$environment_file" ]; then
    umask 077
    cat > "$environment_file.part" <<'TEXT'
# Made by `make up`: this installation's secrets and names. Keep it as secret as what it opens; a backup holds it too.
# docs/compose.md lists what you may set here. Values that you set are never overwritten; run `make up` after a change.
TEXT
    mv "$environment_file.part" "$environment_file"
fi
chmod 600 "$environment_file"

ensure COMPOSE_PROJECT_NAME "$project"
ensure CLONE_ID "$clone"
set_setting CLONE_FOLDER "$project_folder"
ensure PUBLIC_HOST localhost
ensure BIND_ADDRESS 127.0.0.1
ensure HTTPS_PORT 8443
ensure HTTP_PORT 8080
ensure ADMIN_USER admin
ensure ADMIN_PASSWORD "$(random 10)"
ensure MLFLOW_PASSWORD "$(random 10)"
ensure MLFLOW_KEY "$(random 32)"
ensure LEDGER_KEY "$(random 32)"
ensure AIRFLOW_FERNET_KEY "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
ensure AIRFLOW_JWT_SECRET "$(random 64)"
ensure AIRFLOW_SECRET_KEY "$(random 32)"
ensure POSTGRES_PASSWORD "$(random 16)"
ensure AIRFLOW_DATABASE_PASSWORD "$(random 16)"
ensure MLFLOW_DATABASE_PASSWORD "$(random 16)"
ensure PLATFORM_DATABASE_PASSWORD "$(random 16)"
ensure GATEWAY_DATABASE_PASSWORD "$(random 16)"
ensure MONITORING_DATABASE_PASSWORD "$(random 16)"
ensure GRAFANA_PASSWORD "$(random 10)"
ensure REDIS_PASSWORD "$(random 16)"
ensure OBJECTSTORE_ACCESS_KEY perennial:platform
ensure OBJECTSTORE_SECRET_KEY "$(random 24)"
ensure GATEWAY_TOKEN "$(random 32)"
ensure PREDICTION_TOKEN "$(random 24)"

# Airflow sends its numbers only where somebody listens.
case ",$(setting COMPOSE_PROFILES)," in
*,monitoring,*) set_setting STATSD_ON True ;;
*) set_setting STATSD_ON False ;;
esac

if [ ! -f "$airflow_environment_file" ]; then
    umask 077
    cat > "$airflow_environment_file" <<'TEXT'
# What you add to Airflow's environment: connections and variables (AIRFLOW_CONN_..., AIRFLOW_VAR_...) and settings (AIRFLOW__SECTION__KEY).
TEXT
fi
