#!/bin/bash
# As the official image: make the database cluster in an empty PGDATA, run /docker-entrypoint-initdb.d, then start.
set -euo pipefail

# NAME, or the content of the file that NAME_FILE names.
value() {
    local file="$1_FILE"
    if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s' "${!1:-${2:-}}"; fi
}

# Without a user's .psqlrc, ended by the first error, over the local socket.
query() { psql --no-psqlrc --set ON_ERROR_STOP=1 --no-password --username "$POSTGRES_USER" "$@"; }

initialise() {
    if [ -z "$POSTGRES_PASSWORD" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
        echo "The database has no password. Set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE." >&2
        exit 1
    fi
    local arguments=() method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    read -ra arguments <<< "${POSTGRES_INITDB_ARGS:-}"
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust \
        "${arguments[@]}" >/dev/null
    printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
    # The port is closed meanwhile, so that nobody takes the half-made cluster for the finished one.
    PGUSER=$POSTGRES_USER pg_ctl --wait -o "-c listen_addresses=''" start >/dev/null
    if [ "$POSTGRES_DB" != postgres ]; then
        query --dbname postgres --set name="$POSTGRES_DB" <<< 'CREATE DATABASE :"name";' >/dev/null
    fi
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) query --dbname "$POSTGRES_DB" --file "$file" ;;
            *.sql.gz) gunzip --stdout "$file" | query --dbname "$POSTGRES_DB" ;;
        esac
    done
    PGUSER=$POSTGRES_USER pg_ctl --mode fast --wait stop >/dev/null
}

if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
if [ "${1:-}" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        install -d -o postgres -g postgres -m 0700 "$PGDATA"
        find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
        chown postgres /dev/stdout /dev/stderr 2>/dev/null || true
        exec gosu postgres "$0" "$@"
    fi
    export POSTGRES_USER POSTGRES_DB POSTGRES_PASSWORD
    POSTGRES_USER=$(value POSTGRES_USER postgres)
    POSTGRES_DB=$(value POSTGRES_DB "$POSTGRES_USER")
    POSTGRES_PASSWORD=$(value POSTGRES_PASSWORD)
    [ -s "$PGDATA/PG_VERSION" ] || initialise
    unset POSTGRES_PASSWORD
    # Debian's build listens on localhost and keeps its sockets where the official image does.
    exec "$@" -c listen_addresses='*'
fi
exec "$@"
