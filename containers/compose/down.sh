#!/bin/sh
# Remove the platform's containers, networks and volumes, and the steps that are left. KEEP=1 keeps the volumes. `make down` runs this.
#
# By labels and without Compose, which could not read docker-compose.yaml where .env is gone.
. "$(dirname "$0")/common.sh"
need_docker
name_project
require_own
ours="label=com.docker.compose.project=$project"
steps="label=perennial.installation=$project"
case ${KEEP:-} in
"" | 0 | no | false) keep="" ;;
*) keep=yes ;;
esac

running() { # services; none for all
    [ $# -gt 0 ] || docker ps --quiet --filter "$ours"
    for service; do
        docker ps --quiet --filter "$ours" --filter "label=com.docker.compose.service=$service"
    done
}

stop() {
    ids=$(running "$@")
    # shellcheck disable=SC2086 - ids
    [ -z "$ids" ] || docker stop --time 30 $ids >/dev/null
}

remove_all() { # what `docker ps` filters by
    ids=$(docker ps --all --quiet --filter "$1")
    # shellcheck disable=SC2086
    [ -z "$ids" ] || docker rm --force --volumes $ids >/dev/null
}

networks=$(docker network ls --quiet --filter "$ours")
if [ -z "$(docker ps --all --quiet --filter "$ours")$(docker ps --all --quiet --filter "$steps")$networks$(volumes)" ]; then
    say "Nothing of the platform $project is on this engine."
    exit 0
fi
say "Stopping the platform $project."
# The way in first, then what starts steps, then the steps; the databases last, when nobody writes to them any more.
stop entrance airflow-scheduler loop-watch
stop engine worker-default worker-gpu
remove_all "$steps"
stop airflow-apiserver airflow-dag-processor airflow-triggerer mlflow gateway torchserve inference
stop
remove_all "$ours"
# shellcheck disable=SC2086
[ -z "$networks" ] || docker network rm $networks >/dev/null
if [ -n "$keep" ]; then
    say "Stopped. Its data is kept in the volumes $(volumes | tr '\n' ' ')and comes back with make up."
    exit 0
fi
kept=$(volumes)
# shellcheck disable=SC2086
[ -z "$kept" ] || docker volume rm $kept >/dev/null
say "Nothing of the platform $project is left on this engine but its images. Its passwords stay in $environment_file."
