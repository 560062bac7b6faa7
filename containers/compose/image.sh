#!/bin/sh
# Build a self-contained serving image of a version that the gate promoted, try it, and push it where a registry is named:
# `make image MODEL=review_sentiment VERSION=3 [REGISTRY=registry.example.org/team]`.
#
# Nothing is tagged or pushed before the container has shown what a release's acceptance asks of the version: its example, behaviour,
# frozen rows and load. What was found, and the digest under which a registry holds the image, are in the ledger.
. "$(dirname "$0")/common.sh"

model=${MODEL:-}
version=${VERSION:-}
registry=${REGISTRY:-}
usage="Say which: make image MODEL=review_sentiment VERSION=3"
printf '%s' "$model" | grep -Eqx '[a-z][a-z0-9_]*' || fail "$usage (MODEL is '$model')"
printf '%s' "$version" | grep -Eqx '[1-9][0-9]*' || fail "$usage (VERSION is '$version')"
# Docker takes one underscore between letters, or two, and none at the end.
! printf '%s' "$model" | grep -Eq '___|_$' || fail "No image can be called $model: Docker takes no name with such underscores."

need_docker
name_project
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
server=$([ ! -f "$images_file" ] || sed -n 's/^PERENNIAL_INFERENCE_IMAGE=//p' "$images_file" | tail -n 1)
[ -n "$server" ] || fail "The image of the inference server is not built. Build it: make images IMAGES=inference"

work=$(mktemp -d)
container=""
relay=""
clean() {
    [ -z "$relay" ] || kill "$relay" 2>/dev/null || true
    relay=""
    [ -z "$container" ] || docker rm --force --volumes "$container" >/dev/null 2>&1 || true
    container=""
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir -p "$work/model" "$work/code"
./perennial image "$model" "$version" --tar - > "$work/model.tar"
tar -x -f "$work/model.tar" -C "$work/model"
rm "$work/model.tar"
cp containers/serving/serve.py containers/serving/accept.py containers/serving/relay.py tasks/release/differences.py "$work/code/"
chmod -R u=rwX,go=rX "$work/model" "$work/code"

told() { sed -n "s/^  \"$1\": \"\([^\"]*\)\",\{0,1\}\$/\1/p" "$work/model/version.json"; }

if ! docker build --file containers/serving/model.Dockerfile --iidfile "$work/id" --label "perennial.clone=$clone" \
    --build-arg "SERVER=$server" --build-arg "MODEL=$model" --build-arg "VERSION=$version" --build-arg "RUN_ID=$(told run_id)" \
    --build-arg "ARCHIVE_SHA256=$(told archive_sha256)" --build-arg "PROMOTED_BY=$(told promoted_by)" "$work" \
    > "$work/log" 2>&1; then
    tail -n 25 "$work/log" >&2
    fail "The image of $model version $version could not be built; the end of what Docker said is above."
fi
id=$(cat "$work/id")

# As it may be run: nothing but /tmp can be written to, no capability is left, and nobody is reached.
PERENNIAL_INFERENCE_TOKEN=$(od -An -N 24 -tx1 /dev/urandom | tr -d ' \n')
export PERENNIAL_INFERENCE_TOKEN
container=$(docker run --detach --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges:true --network none \
    --env PERENNIAL_INFERENCE_TOKEN --label "perennial.clone=$clone" "$id")
refuse() {
    docker logs --tail 25 "$container" >&2 || true
    clean
    docker image rm --force "$id" >/dev/null 2>&1 || true
    fail "The image of $model version $version is not accepted; the end of its log is above. Nothing was tagged or pushed."
}
docker exec "$container" python containers/serving/accept.py || refuse

# Whoever judges is outside, where the frozen rows are. The container has no network: questions and answers go through a process in it.
mkfifo "$work/questions" "$work/answers"
docker exec --interactive "$container" python containers/serving/relay.py < "$work/questions" > "$work/answers" &
relay=$!
./perennial image "$model" "$version" --accept "$id" > "$work/questions" < "$work/answers" || refuse
wait "$relay" || true
relay=""

docker tag "$id" "$model:$version"
say "$model:$version is $id"
[ -n "$registry" ] || exit 0
docker tag "$id" "$registry/$model:$version"
docker push --quiet "$registry/$model:$version" >/dev/null
digest=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$id" | grep "^$registry/$model@" | tail -n 1)
[ -n "$digest" ] || fail "The engine knows no digest of $registry/$model:$version after it was pushed."
say "$digest"
./perennial image "$model" "$version" --pushed "$digest" --id "$id"
