#!/bin/sh
# Push the images that `make images` built last, and print what .perennial/images.env is to say on a machine that runs them:
# `make push-images REGISTRY=registry.example.org/team`.
set -eu
cd "$(dirname "$0")/../.."
images=.perennial/images.env

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

registry=${1:-}
[ -n "$registry" ] || fail "Say where to: make push-images REGISTRY=registry.example.org/team"
[ -f "$images" ] || fail "No images are built: $images is not there. Run make images first."
commit=$(sed -n 's/^PERENNIAL_CODE_COMMIT=//p' "$images" | tail -n 1)
case $commit in
"") fail "$images does not say which commit the images are of. They were built outside Git: build them in a clone." ;;
*+dirty) fail "The images are of $commit: files differed from that commit, so nobody could build them again. Commit, and run make images." ;;
esac

# The digest is what the registry calls what it received; the id of the image on this engine is another.
digest_of() { # repository, image
    docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$2" | grep "^$1@" | tail -n 1
}

echo "PERENNIAL_CODE_COMMIT=$commit"
sed -n 's/^PERENNIAL_\([A-Z]*\)_IMAGE=\(.*\)$/\1 \2/p' "$images" | while read -r name image; do
    repository=$registry/perennial-$(printf '%s' "$name" | tr 'A-Z' 'a-z')
    docker tag "$image" "$repository:$commit"
    docker push --quiet "$repository:$commit" >/dev/null
    digest=$(digest_of "$repository" "$image")
    [ -n "$digest" ] || fail "The engine knows no digest of $repository:$commit after it was pushed."
    echo "PERENNIAL_${name}_IMAGE=$digest"
done
