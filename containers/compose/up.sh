#!/bin/sh
# Start the platform and wait until every service does its work: images, secrets, containers, then one address. `make up` runs this.
# With --prepare it ends before it starts anything: what is left for Compose to do then needs only .env.
. "$(dirname "$0")/common.sh"
began=$(date +%s)
patience_seconds=${START_TIMEOUT:-600}

need_docker
need_compose
name_project
require_own
sh containers/compose/secrets.sh
sh containers/compose/lineage.sh
name_project
# Others than you must be able to read what the containers mount, whatever your umask was when you cloned.
chmod -R go+rX containers/compose

# --- the ports, before anything is built or started: they are the reverse proxy's, which comes last -------------------------

bind=$(setting BIND_ADDRESS)

# Who holds a port of this machine: a container, with the clone that it belongs to, or a program of which the engine knows nothing.
holder() { # port
    found=$(docker ps --filter "publish=$1" --format '{{.Names}}|{{.Label "com.docker.compose.project.working_dir"}}' | head -n 1)
    folder=${found#*|}
    [ -n "$found" ] && say "the container ${found%%|*}${folder:+ of the platform of the clone $folder}" || say "another program"
}

need_port() { # the setting that names it
    port=$(setting "$1")
    problem=$(docker run --rm --publish "$bind:$port:1" --entrypoint true nginx:1.28-bookworm 2>&1) ||
        case $problem in
        *"already allocated"* | *"already in use"*)
            fail "Port $port of $bind is taken by $(holder "$port"). Stop that, or set another port: $1 in $environment_file"
            ;;
        *"assign requested address"*) fail "This machine has no address $bind. Correct BIND_ADDRESS in $environment_file" ;;
        *) fail "Port $port of $bind cannot be used ($1 in $environment_file): $problem" ;;
        esac
}

if [ -z "$(docker ps --quiet --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=entrance")" ]; then
    need_port HTTPS_PORT
    need_port HTTP_PORT
fi

# --- images: those that `make images` built last, named by their content -------------------------------------------------

image_of() { [ ! -f "$images_file" ] || sed -n "s/^PERENNIAL_$1_IMAGE=//p" "$images_file" | tail -n 1; }

images_are_here() {
    for name in AIRFLOW ML TORCHSERVE INFERENCE MLFLOW GATEWAY ENGINE OBJECTSTORE; do
        image=$(image_of $name)
        [ -n "$image" ] && docker image inspect "$image" >/dev/null 2>&1 || return 1
    done
}

images_are_here || {
    say "The images are not built yet: make images"
    ${MAKE:-make} images
}
images_are_here || fail "make images ended, but $images_file does not name an image of each kind that the engine holds. Run it again."
for name in AIRFLOW TORCHSERVE INFERENCE MLFLOW GATEWAY ENGINE OBJECTSTORE; do
    image=$(image_of $name)
    digest=${image#*sha256:}
    tag=perennial/$(printf '%s' $name | tr 'A-Z' 'a-z'):$(printf '%.12s' "$digest")
    docker tag "$image" "$tag"
    set_setting ${name}_IMAGE "$tag"
done
set_setting STEP_IMAGE "$(image_of ML)"

# --- the engine's socket: who owns it inside a container, which on a desktop is somebody else than outside ------------------

socket=$(setting DOCKER_SOCKET)
case ${DOCKER_HOST:-} in
unix://*) socket=${socket:-${DOCKER_HOST#unix://}} ;;
esac
group=$(docker run --rm --network none --entrypoint stat --volume "${socket:-/var/run/docker.sock}:/socket" \
    "$(setting AIRFLOW_IMAGE)" --format %g /socket) ||
    fail "The socket ${socket:-/var/run/docker.sock} cannot be given to a container. Name the engine's socket: DOCKER_SOCKET in $environment_file"
set_setting DOCKER_SOCKET "${socket:-/var/run/docker.sock}"
set_setting DOCKER_GROUP "$group"

# --- start, and wait --------------------------------------------------------------------------------------------------------

# Say which services do not do what they should, each with what it said last; then end.
explain() {
    not_ready | while read -r service id state status; do
        [ "$state" != created ] || continue
        say "" "$service is not healthy: $status. It said last:"
        docker logs --tail 20 "$id" 2>&1 | sed 's/^/    /'
        docker inspect --format '{{if .State.Health}}{{range .State.Health.Log}}{{.Output}}{{end}}{{end}}' "$id" | tail -n 3 | sed 's/^/    health check: /'
    done >&2
    fail "" "$1" "What is there keeps running: make status; $composer logs SERVICE. Start again with make up, or give up with make down."
}

[ "${1:-}" != --prepare ] || exit 0
workers=$(setting DEFAULT_WORKERS)
gpu_workers=$(setting GPU_WORKERS)

too_long() { [ $(($(date +%s) - began)) -ge "$patience_seconds" ]; }

# What will not get well by waiting: a service that ended several times by itself, or preparations that failed.
hopeless() {
    docker ps --all --quiet --filter "label=com.docker.compose.project=$project" | while read -r id; do
        docker inspect --format '{{if or (and (eq .State.Status "restarting") (ge .RestartCount 4)) (and (eq .State.Status "exited") (ne .State.ExitCode 0))}}{{.Name}}{{end}}' "$id"
    done | grep .
}

# Compose leaves what a profile started that is off now, and these would take what Airflow no longer sends for a fault.
containers_of() { # services
    for service; do
        docker ps --all --quiet --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$service"
    done
}
is_on() { case ",$(setting COMPOSE_PROFILES)," in *,"$1",*) ;; *) return 1 ;; esac; }
is_on gpu-monitoring || containers_of gpu-exporter | xargs -r docker rm --force --volumes >/dev/null
is_on monitoring || containers_of monitoring-init prometheus alertmanager grafana statsd-exporter postgres-exporter node-exporter |
    xargs -r docker rm --force --volumes >/dev/null

# Compose gives up as soon as something that others wait for is called unhealthy. A busy machine makes it so for a while, so it is
# asked again until our own patience ends.
until compose up --detach --remove-orphans --scale "worker-default=${workers:-1}" --scale "worker-gpu=${gpu_workers:-1}"; do
    ! hopeless >/dev/null || explain "The platform could not be started."
    ! too_long || explain "The platform could not be started within $patience_seconds s (START_TIMEOUT)."
    sleep 5
done
while pending=$(not_ready) && [ -n "$pending" ]; do
    ! hopeless >/dev/null || explain "The platform is not healthy."
    ! too_long || explain "The platform is not healthy after $patience_seconds s (START_TIMEOUT)."
    sleep 2
done
# One that ran already knows only by this that monitoring-init has written whom alerts go to now.
containers_of alertmanager | xargs -r docker kill --signal HUP >/dev/null
say "" "Everything is healthy after $(($(date +%s) - began)) s. make down stops it and removes all of it; KEEP=1 keeps its data."
say_addresses
