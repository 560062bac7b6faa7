#!/bin/sh
# Build every image of containers/*/Dockerfile, or those that are named: `make images`, `sh containers/compose/build.sh ml gateway`.
#
#     BASE            the public base; python:3.11-slim-bookworm
#     CA              a company's certificate (PEM) that the images shall trust, in the build and at run time
#     PIP_INDEX_URL   the package index; its address stays out of the images
#     GOOGLE          yes: the image `airflow` with Airflow's Google provider, or no; by default where .env names a bucket gs://...
#     TORCH_BACKEND   the build of torch: cpu, cu130, ..., or `index` for the one of the package index, which is CUDA's on Linux
#     WHEELS          a folder of wheels: torch is taken from there, not from an index. For cpu also the one that PIP_FIND_LINKS names
#     IMAGE_PREFIX    what the images' names start with: perennial, or registry.example.com/team/perennial
#
# The images' ids, which are their digests on this engine, go to .perennial/images.env.
. "$(dirname "$0")/common.sh"

log=.perennial/images.log
base=${BASE:-python:3.11-slim-bookworm}
prefix=${IMAGE_PREFIX:-perennial}
backend=${TORCH_BACKEND:-cpu}
began=$(date +%s)

# The commit of the clone, with +dirty where files differ from it; of a source tarball, what `git archive` wrote into a file.
code_commit() {
    if commit=$(git rev-parse HEAD 2>&1) && changed=$(git status --porcelain); then
        printf '%s%s\n' "$commit" "${changed:++dirty}"
    else
        grep -v '^\$Format' containers/commit.txt || fail "The images must say what code they hold, and this is neither an archive" \
            "made by git archive nor a clone that Git can read. Install Git or clone the repository. Git said: $commit"
    fi
}

# Run `docker build` quietly; what it printed is shown when it fails.
build() {
    if ! docker build "$@" > "$log" 2>&1; then
        tail -n 25 "$log" >&2
        fail "An image could not be built: docker build $*" "Its whole output is in $log. Behind a firewall, see docs/images.md."
    fi
}

# The index that pip is told to use, by the environment or its own configuration, is that of the builds too.
use_index() {
    if [ -z "${PIP_INDEX_URL:-}" ] && command -v pip >/dev/null 2>&1; then
        PIP_INDEX_URL=$(pip config get global.index-url 2>/dev/null || true)
    fi
    [ -n "${PIP_INDEX_URL:-}" ] || return 0
    export PIP_INDEX_URL UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
}

# An image that is the base and trusts the company's certificate.
trust() {
    [ -r "$CA" ] || fail "CA names $CA, which cannot be read."
    folder=$(mktemp -d)
    cp "$CA" "$folder/company.crt"
    build --file containers/airgap/trust.Dockerfile --build-arg "BASE=$base" --tag "$prefix/base:$clone" "$folder"
    rm -rf "$folder"
    base=$prefix/base:$clone
}

# An image that holds the wheels, so that they are sent to the engine once and not with every build.
hold_wheels() {
    wheels=${WHEELS:-}
    for folder in ${PIP_FIND_LINKS:-}; do
        if [ -z "$wheels" ] && [ "$backend" = cpu ] && ls "$folder"/torch-*.whl >/dev/null 2>&1; then wheels=$folder; fi
    done
    [ -n "$wheels" ] || return 0
    ls "$wheels"/torch-*.whl >/dev/null 2>&1 || fail "WHEELS names $wheels, which holds no torch-*.whl." \
        "Fetch one: pip download torch==2.13.0 --no-deps --dest $wheels"
    say "torch comes from $wheels"
    printf 'FROM scratch\nCOPY torch-*.whl /\n' > .perennial/wheels.Dockerfile
    build --file .perennial/wheels.Dockerfile --tag "$prefix/wheels:$clone" "$wheels"
    wheels_image=$prefix/wheels:$clone
}

# The lock of the control plane: the Google provider makes its image three times as large.
control_plane() {
    case ${GOOGLE:-"$(setting STORE_URL) $(setting LOGS_URL)"} in
    yes | 1 | *gs://*) say google.txt ;;
    *) say cluster.txt ;;
    esac
}

build_image() { # name
    file=containers/$1/Dockerfile
    [ -f "$file" ] || fail "There is no $file. Images: $(printf '%s ' $all)"
    lock=containers/$1/requirements.txt
    [ "$1" != airflow ] || lock=containers/airflow/$(control_plane)
    set -- "$1" --build-arg "BASE=$base" --build-arg "COMMIT=$commit" --build-arg "LOCK_SHA256=$(hash_of "$lock")" \
        --build-arg PIP_INDEX_URL --build-arg UV_DEFAULT_INDEX \
        --build-arg http_proxy --build-arg https_proxy --build-arg no_proxy
    ! grep -q '^ARG LOCK=' "$file" || set -- "$@" --build-arg "LOCK=${lock##*/}"
    if grep -q '^ARG WHEELS' "$file"; then
        set -- "$@" --build-arg "TORCH_BACKEND=$backend"
        [ -z "${wheels_image:-}" ] || set -- "$@" --build-arg "WHEELS=$wheels_image"
    fi
    name=$1
    shift
    started=$(date +%s)
    # Tagged by its commit too, or a clean-up of untagged images would take one that a run still names by its id.
    build "$@" --iidfile .perennial/image.id --file "$file" --tag "$prefix/$name" --tag "$prefix/$name:$(printf %s "$commit" | tr + -)" .
    id=$(cat .perennial/image.id)
    built="${built:-}PERENNIAL_$(printf %s "$name" | tr a-z A-Z)_IMAGE=$id
"
    size=$(docker image inspect --format '{{.Size}}' "$id")
    say "$(printf '%-32s %5d MB %5d s' "$prefix/$name" $((size / 1000000)) $(($(date +%s) - started)))"
}

# The images that were built now, and those of this clone that were not; never what a tag names, which another clone's build moves.
write_ids() {
    {
        printf 'PERENNIAL_CODE_COMMIT=%s\n' "$commit"
        printf %s "$built"
        [ ! -f "$images_file" ] || sed -n '/^PERENNIAL_[A-Z]*_IMAGE=/p' "$images_file" | while IFS= read -r line; do
            case $built in *"${line%%=*}="*) ;; *) say "$line" ;; esac
        done
    } > "$images_file.part"
    mv "$images_file.part" "$images_file"
}

need_docker
name_project
# Docker's newer builder is a plugin, and some packages of Docker lack it. These Dockerfiles need nothing of it.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
mkdir -p .perennial
all=$(for file in containers/*/Dockerfile; do
    folder=${file%/Dockerfile}
    [ "$folder" = containers/airgap ] || say "${folder#containers/}"
done)
commit=$(code_commit)
use_index
[ -z "${CA:-}" ] || trust
hold_wheels
for name in ${*:-$all}; do build_image "$name"; done
write_ids
say "All images of $commit after $(($(date +%s) - began)) s; their ids are in $images_file"
