#!/bin/sh
# Copy everything that the platform knows into a folder: databases, objects, served models, certificate, .env. `make backup` runs this.
#
# It goes on working meanwhile. The databases come first and each is whole in itself; the archives and objects that they name
# are written before they are named and never changed, so what is copied afterwards holds all of them.
. "$(dirname "$0")/common.sh"
need_docker
name_project
to=${TO:-backups/$(date -u +%Y-%m-%dT%H-%M-%SZ)}
[ ! -e "$to" ] || fail "$to is there already. Name another folder: make backup TO=/path/to/folder"
postgres=$(docker ps --quiet --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=postgres")
[ -n "$postgres" ] || fail "The platform $project does not run, so its databases cannot be copied. Start it: make up"

umask 077
part=$to.part
rm -rf "$part"
mkdir -p "$part"
trap 'rm -rf "$part"' EXIT
began=$(date +%s)
for database in airflow mlflow perennial gateway; do
    docker exec "$postgres" pg_dump --username=postgres --format=custom --compress=3 "$database" > "$part/$database.dump" ||
        fail "The database $database could not be copied."
done
for volume in models objects tls; do
    docker volume inspect "${project}_$volume" >/dev/null 2>&1 || continue
    # 1: a file grew while it was read; it is one that is being written, so nothing that a database names.
    with_volumes "${project}_$volume:/data:ro" -- sh -c 'tar --create --numeric-owner --directory /data . || [ $? = 1 ]' > "$part/$volume.tar" ||
        fail "The volume ${project}_$volume could not be copied."
done
cp "$environment_file" "$part/env"
cp "$airflow_environment_file" "$part/env.airflow"
(cd "$part" && sha256sum ./* > SHA256SUMS)
mv "$part" "$to"
say "Copied to $to ($(du -sh "$to" | cut -f1)) in $(($(date +%s) - began)) s. It holds every secret of the platform: keep it so." \
    "Bring it back on an engine without a platform: make restore FROM=$to"
