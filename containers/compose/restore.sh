#!/bin/sh
# Bring a backup back on an engine where nothing of the platform is, and start it. `make restore FROM=folder` runs this.
. "$(dirname "$0")/common.sh"
need_docker
need_compose
from=${FROM:-}
[ -n "$from" ] || fail "Which backup? make restore FROM=backups/..."
[ -f "$from/SHA256SUMS" ] || fail "$from is not a backup: it has no SHA256SUMS."
(cd "$from" && sha256sum --check --quiet SHA256SUMS) || fail "$from is damaged: the files above are not those that were copied."
of_backup() { sed -n "s/^$1=//p" "$from/env" | tail -n 1; }

name_project
project=${COMPOSE_PROJECT_NAME:-$(of_backup COMPOSE_PROJECT_NAME)}
require_own
[ -z "$(containers)$(volumes)" ] || fail "There is a platform $project on this engine already. Remove it first: make down"
here=$(setting POSTGRES_PASSWORD)
[ -z "$here" ] || [ "$here" = "$(of_backup POSTGRES_PASSWORD)" ] ||
    fail "$environment_file holds the secrets of another platform. Move it away: mv $environment_file $environment_file.before"

put_back() { # file of the backup, file here
    (umask 077 && cp "$1" "$2.part" && mv "$2.part" "$2")
}
[ -n "$here" ] || put_back "$from/env" "$environment_file"
put_back "$from/env.airflow" "$airflow_environment_file"
set_setting COMPOSE_PROJECT_NAME "$project"
set_setting CLONE_ID "$clone"
set_setting CLONE_FOLDER "$project_folder"

trap 'say "The restore is not complete. Remove what it left before you try again: make down" >&2' EXIT
began=$(date +%s)
sh containers/compose/up.sh --prepare
for volume in models objects tls; do
    [ -f "$from/$volume.tar" ] || continue
    # As Compose would make it: `up --no-start` of 1.29 waits for the health of what it does not start.
    docker volume create --label "com.docker.compose.project=$project" --label "com.docker.compose.volume=$volume" \
        --label "perennial.clone=$clone" \
        "${project}_$volume" >/dev/null
    # shellcheck disable=SC2086 - options
    with_volumes "${project}_$volume:/data" -- $archive --extract --directory /data < "$from/$volume.tar"
done
compose up --detach --no-deps postgres
until containers | grep -q '^postgres .*(healthy)'; do
    case $(containers) in *"(unhealthy)"*) fail "PostgreSQL does not start. $composer logs postgres says why." ;; esac
    sleep 1
done
postgres=$(containers | sed -n 's/^postgres \([0-9a-f]*\) .*/\1/p')
for database in airflow mlflow perennial gateway; do
    docker exec --interactive "$postgres" pg_restore --username=postgres --dbname="$database" --clean --if-exists --exit-on-error \
        --single-transaction < "$from/$database.dump" || fail "The database $database could not be brought back."
done
trap - EXIT
say "Everything is back after $(($(date +%s) - began)) s. Starting."
sh containers/compose/up.sh
# The heads of the ledger may be newer than its database, which was copied before them.
compose run --rm --no-deps -T --entrypoint python command -m tasks.ledger.restored --why "Brought back from $from."
