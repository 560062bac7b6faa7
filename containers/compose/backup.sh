#!/bin/sh
# Copy everything that the platform knows into a folder: databases, objects, served models, certificate, .env. `make backup` runs this.
#
# It goes on working meanwhile. The databases come first and each is whole in itself; the archives and objects that they name were
# written before they were named and are never changed, so what is copied afterwards holds all of them. The object store stands
# still while it is copied, as if its power were cut; who writes to it waits.
. "$(dirname "$0")/common.sh"
need_docker
name_project
require_own
to=${TO:-backups/$(date -u +%Y-%m-%dT%H-%M-%SZ)}
[ ! -e "$to" ] || fail "$to is there already. Name another folder: make backup TO=/path/to/folder"
running() { docker ps --quiet --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1"; }
postgres=$(running postgres)
objectstore=$(running objectstore)
[ -n "$postgres" ] || fail "The platform $project does not run, so its databases cannot be copied. Start it: make up"

umask 077
part=$to.part
rm -rf "$part"
mkdir -p "$part"
paused=""
end() {
    [ -z "$paused" ] || docker unpause "$paused" >/dev/null
    rm -rf "$part"
}
trap end EXIT
trap 'exit 130' INT TERM
began=$(date +%s)
for database in airflow mlflow perennial gateway; do
    docker exec "$postgres" pg_dump --username=postgres --format=custom --compress=3 "$database" > "$part/$database.dump" ||
        fail "The database $database could not be copied."
done
copy() { # volume
    docker volume inspect "${project}_$1" >/dev/null 2>&1 || return 0
    # Of the servers' own files, all but the archives and the inference server's tokens are made anew at their start. 1: a file grew while it was read.
    with_volumes "${project}_$1:/data:ro" -- sh -c "$archive --create --directory /data --exclude=./logs --exclude=./tmp --exclude=./inference/scratch . || [ \$? = 1 ]" \
        > "$part/$1.tar" ||
        fail "The volume ${project}_$1 could not be copied."
}

copy models
copy tls
if [ -n "$objectstore" ]; then
    docker pause "$objectstore" >/dev/null
    paused=$objectstore
fi
copy objects
if [ -n "$paused" ]; then
    docker unpause "$paused" >/dev/null
    paused=""
fi
cp "$environment_file" "$part/env"
cp "$airflow_environment_file" "$part/env.airflow"
(cd "$part" && sha256sum ./* > SHA256SUMS)
mv "$part" "$to"
say "Copied to $to ($(du -sh "$to" | cut -f1)) in $(($(date +%s) - began)) s. It holds every secret of the platform: keep it so." \
    "Bring it back on an engine without a platform: make restore FROM=$to"
