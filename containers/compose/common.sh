# What the scripts beside this one share; read with `.`, from anywhere. They need a POSIX shell, coreutils and Docker, nothing else.
set -eu
project_folder=$(cd "$(dirname "$0")/../.." && pwd)
cd "$project_folder"
environment_file=${ENV_FILE:-.env}
airflow_environment_file=${AIRFLOW_ENV_FILE:-.env.airflow}
images_file=${IMAGES_FILE:-.perennial/images.env}

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# The value of a name in .env; nothing where it is not there. The last line counts, as Compose reads it.
setting() { [ ! -f "$environment_file" ] || sed -n "s/^$1=//p" "$environment_file" | tail -n 1; }

# Put a name into .env, or change it there. The file is written anew and moved, so that it is whole at any time.
set_setting() { # name, value
    [ "$(setting "$1")" != "$2" ] || return 0
    umask 077
    { [ ! -f "$environment_file" ] || grep -v "^$1=" "$environment_file" || true; printf '%s=%s\n' "$1" "$2"; } > "$environment_file.part"
    mv "$environment_file.part" "$environment_file"
}

need_docker() {
    command -v docker >/dev/null 2>&1 ||
        fail "Docker is not installed: there is no program \`docker\`. Install an engine (https://docs.docker.com/engine/install)," \
            "or start the platform without one: make start"
    problem=$(docker version --format '{{.Server.Version}}' 2>&1 >/dev/null) && return 0
    case $problem in
    *"permission denied"*) fail "You may not use the Docker engine. Join its group (sudo usermod -aG docker \"\$USER\", then log in again), or use sudo." ;;
    *) fail "No Docker engine answers (${DOCKER_HOST:-unix:///var/run/docker.sock}). Start it (sudo systemctl start docker) or correct DOCKER_HOST." \
        "It said: $problem" ;;
    esac
}

# Sets `composer`: Compose v2, else 1.29.
need_compose() {
    if docker compose version >/dev/null 2>&1; then
        composer="docker compose"
    elif command -v docker-compose >/dev/null 2>&1; then
        composer=docker-compose
        case $(docker-compose version --short 2>/dev/null) in
        1.29.* | v2.* | 2.* | [3-9].*) ;;
        *) fail "This docker-compose is too old: $(docker-compose version --short 2>&1 | head -n 1). Version 1.29 or 2 is needed." ;;
        esac
    else
        fail "Docker is here, but not Compose: neither \`docker compose\` nor \`docker-compose\` works. Install the plugin" \
            "(apt-get install docker-compose-plugin, or docker-compose on Debian 12)."
    fi
}

hash_of() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi | cut -d ' ' -f 1; }

# Sets `clone`, which no other clone has: all that is this clone's on the engine is labelled with it. And `project`, the name that
# every container, network and volume of this platform starts with.
name_project() {
    clone=$(setting CLONE_ID)
    clone=${clone:-$(printf '%s' "$project_folder" | hash_of | cut -c 1-12)}
    project=${COMPOSE_PROJECT_NAME:-$(setting COMPOSE_PROJECT_NAME)}
    project=${project:-perennial-$(printf '%s' "$clone" | cut -c 1-6)}
}

# The clone that a part of a platform of this name belongs to, by its label and the folder that Compose notes, where it is not this
# one; nothing where all is ours.
other_clone() {
    {
        docker ps --all --filter "label=com.docker.compose.project=$project" \
            --format 'owner|{{.Label "perennial.clone"}}|{{.Label "com.docker.compose.project.working_dir"}}'
        docker volume ls --filter "label=com.docker.compose.project=$project" --format 'owner|{{.Label "perennial.clone"}}|'
    } | awk -F '|' -v clone="$clone" -v folder="$project_folder" '
        $1 == "owner" && (($2 != "" && $2 != clone) || ($2 == "" && $3 != "" && $3 != folder)) { print $3 ? $3 : $2; exit }'
}

# The clone whose .env was copied to here, where it is still there; nothing where this clone made it, or was moved.
copied_from() {
    made_in=$(setting CLONE_FOLDER)
    if [ -n "$made_in" ] && [ "$made_in" != "$project_folder" ] && [ -f "$made_in/docker-compose.yaml" ]; then say "$made_in"; fi
}

# Nothing of another clone's platform is ever changed, whatever this one is told to be called.
require_own() {
    made_in=$(copied_from)
    [ -z "$made_in" ] || fail "$environment_file says that it belongs to the platform of another clone, $made_in; it was copied. Remove it" \
        "here, and make up makes one for this clone. If that clone has moved to here for good, remove it there."
    owner=$(other_clone)
    [ -z "$owner" ] || fail "The platform $project on this engine belongs to another clone, $owner. Go there, or give this one another" \
        "name: COMPOSE_PROJECT_NAME in $environment_file, or in the environment."
}

compose() {
    COMPOSE_PROJECT_NAME=$project AIRFLOW_ENV_FILE=$airflow_environment_file \
        $composer --project-name "$project" --env-file "$environment_file" "$@"
}

# Each container of the platform as a line: service, id, state, status with health.
containers() {
    docker ps --all --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.oneoff=False" \
        --format '{{.Label "com.docker.compose.service"}} {{.ID}} {{.State}} {{.Status}}' | sort
}

volumes() { docker volume ls --quiet --filter "label=com.docker.compose.project=$project"; }

# Those lines of `containers` that are not as they should be: an init that ended well, and all else running and healthy.
not_ready() {
    containers | while read -r service id state status; do
        case "$service $state $status" in
        "airflow-init exited Exited (0)"* | "monitoring-init exited Exited (0)"*) ;;
        *" running "*"(healthy)") ;;
        *) say "$service $id $state $status" ;;
        esac
    done
}

address() {
    port=$(setting HTTPS_PORT)
    host=$(setting PUBLIC_HOST)
    [ "${port:-8443}" = 443 ] && say "https://${host:-localhost}" || say "https://${host:-localhost}:${port:-8443}"
}

say_addresses() {
    user=$(setting ADMIN_USER)
    say "    $(address)"
    say "      /          Airflow   user ${user:-admin}, password $(setting ADMIN_PASSWORD)"
    say "      /mlflow/   MLflow    user ${user:-admin}, password $(setting MLFLOW_PASSWORD)"
    say "      /v1/       models    Authorization: Bearer $(setting PREDICTION_TOKEN)"
    case ",$(setting COMPOSE_PROFILES)," in
    *,monitoring,*) say "      /grafana/  Grafana   user admin, password $(setting GRAFANA_PASSWORD)" ;;
    esac
}

# Owners, modes, and the attributes in which the object store keeps what it knows of an object.
archive="tar --numeric-owner --xattrs --xattrs-include=user.*"

# Run a command in a container that sees some volumes of ours and nothing else, no network either.
# The options that name volumes come first, then --, then the command.
with_volumes() {
    mounts=""
    while [ "$1" != -- ]; do
        mounts="$mounts --volume $1"
        shift
    done
    shift
    # shellcheck disable=SC2086 - volume names and mount points hold no spaces
    docker run --rm --interactive --network none --user 0:0 --cap-drop ALL --cap-add DAC_OVERRIDE --cap-add CHOWN --cap-add FOWNER \
        --security-opt no-new-privileges:true --label "com.docker.compose.project=$project" --label "perennial.clone=$clone" --entrypoint "" \
        $mounts postgres:15-bookworm "$@"
}
