#!/bin/sh
# Tell the demo's story on this platform: start it if it does not run, tell, and with --exit remove what was started here.
# `make demo ON=compose` runs this. The story itself (demo/) is told from a container beside the services.
. "$(dirname "$0")/common.sh"
need_docker
need_compose
name_project
require_own
peak_file=.perennial/demo-peak.$project
started=""
sampler=""
stop_at_end=""
case " $* " in *" --exit "*) stop_at_end=yes ;; esac

# The memory of every container of the platform and of its steps together, in MiB, as the engine counts it: without file caches.
memory_mib() {
    ids=$(docker ps --quiet --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.oneoff=False"
        docker ps --quiet --filter "label=perennial.installation=$project")
    # shellcheck disable=SC2086 - ids
    docker stats --no-stream --format '{{.MemUsage}}' $ids 2>/dev/null | awk '
        { unit = $1; sub(/^[0-9.]+/, "", unit); value = $1 + 0 }
        unit == "GiB" { sum += value * 1024 } unit == "MiB" { sum += value } unit == "KiB" { sum += value / 1024 }
        END { printf "%d\n", sum }'
}

sample() {
    peak=0
    while sleep "${SAMPLE_SECONDS:-5}"; do
        now=$(memory_mib)
        [ "${now:-0}" -le "$peak" ] || { peak=$now; echo "$peak" > "$peak_file"; }
    done
}

end() {
    status=$?
    trap - EXIT INT TERM
    [ -z "$sampler" ] || kill "$sampler" 2>/dev/null || true
    docker rm --force "$project-demo" >/dev/null 2>&1 || true
    rm -f "$peak_file"
    [ "$started$stop_at_end" != yesyes ] || KEEP="" sh containers/compose/down.sh
    exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM

if [ -z "$(containers)" ]; then
    [ -z "$(volumes)" ] ||
        fail "The data of an earlier platform $project is kept ($(volumes | tr '\n' ' ')), and the story needs one without any state." \
            "Tell it beside that (COMPOSE_PROJECT_NAME=demo with an ENV_FILE of its own), or remove it for good: make down"
    started=yes
    sh containers/compose/up.sh
fi
mkdir -p .perennial
sample &
sampler=$!
if [ -t 0 ] && [ -t 1 ]; then terminal=""; else terminal=-T; fi
told=0
# shellcheck disable=SC2086 - one option or none
compose run --name "$project-demo" $terminal demo "$@" || told=$?
docker cp "$project-demo:/home/perennial/demo-report.json" demo-report.json 2>/dev/null ||
    fail "The story ended before it had a report; what it said last is above."
peak=$(cat "$peak_file" 2>/dev/null || echo null)
sed "s/\"containers_peak_mib\": null/\"containers_peak_mib\": $peak/" demo-report.json > .perennial/demo-report.part
mv .perennial/demo-report.part demo-report.json
say "" "Memory of all containers together: at most $peak MiB. demo-report.json holds the whole story."
[ -n "$started" ] && [ -n "$stop_at_end" ] || say "The platform keeps running; make down removes it."
exit "$told"
