#!/bin/sh
# Bring a backup back on an engine where nothing of the platform is, and start it. `make restore FROM=folder` runs this.
. "$(dirname "$0")/common.sh"
need_docker
need_compose
from=${FROM:-}
[ -n "$from" ] || fail "Which backup? make restore FROM=backups/..."
[ -f "$from/SHA256SUMS" ] || fail "$from is not a backup: it has no SHA256SUMS."
(cd "$from" && sha256sum --check --quiet SHA256SUMS) || fail "$from is damaged: the files above are not those that were copied."
if [ -f "$environment_file" ] && [ -n "$(setting POSTGRES_PASSWORD)" ] && [ "$(setting POSTGRES_PASSWORD)" != "$(sed -n 's/^POSTGRES_PASSWORD=//p' "$from/env")" ]; then
    fail "$environment_file holds the secrets of another platform. Move it away: mv $environment_file $environment_file.before"
fi
for file in env:$environment_file env.airflow:$airflow_environment_file; do
    (umask 077 && cp "$from/${file%%:*}" "${file#*:}.part" && mv "${file#*:}.part" "${file#*:}")
done
[ -z "${COMPOSE_PROJECT_NAME:-}" ] || set_setting COMPOSE_PROJECT_NAME "$COMPOSE_PROJECT_NAME"
name_project
[ -z "$(containers)$(volumes)" ] || fail "There is a platform $project on this engine already. Remove it first: make down"
began=$(date +%s)
sh containers/compose/up.sh --no-start
for volume in models objects tls; do
    [ ! -f "$from/$volume.tar" ] || with_volumes "${project}_$volume:/data" -- tar --extract --numeric-owner --directory /data < "$from/$volume.tar"
done
compose up --detach --no-deps postgres
until [ -n "$(containers | grep '^postgres .*(healthy)')" ]; do
    case $(containers) in *"(unhealthy)"*) fail "PostgreSQL does not start: docker-compose logs postgres" ;; esac
    sleep 1
done
postgres=$(containers | sed -n 's/^postgres \([0-9a-f]*\) .*/\1/p')
for database in airflow mlflow perennial gateway; do
    docker exec --interactive "$postgres" pg_restore --username=postgres --dbname="$database" --clean --if-exists --exit-on-error \
        --single-transaction < "$from/$database.dump" || fail "The database $database could not be brought back."
done
say "Everything is back after $(($(date +%s) - began)) s. Starting."
sh containers/compose/up.sh
