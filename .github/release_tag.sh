#!/bin/sh
# Release the version that a tag names: `review_sentiment-7` is version 7 of review_sentiment.
# .github/workflows/release.yml calls it. PERENNIAL_URL and PERENNIAL_TOKEN say which platform is asked (docs/command.md).
# LONGEST_WAIT says how long its end is waited for (as `timeout` takes it, such as 5h); after that it goes on by itself.
# Usage: release_tag.sh TAG WHO
set -eu
tag=$1 who=$2
model=${tag%-*} version=${tag##*-}
case $version in
    '' | *[!0-9]* | 0*) version= ;;
esac
case $model in
    '' | *[!a-z0-9_]*) version= ;;
esac
if [ -z "$version" ] || [ "$model" = "$tag" ]; then
    printf '%s\n' "The tag $tag names no version. Tag a release name-version, such as review_sentiment-7." >&2
    exit 2
fi
project=$(dirname "$(dirname "$(readlink -f "$0")")")
timeout "${LONGEST_WAIT:-infinity}" "${RELEASE_COMMAND:-$project/perennial}" \
    release "$model" "$version" --wait --why "GitHub release $tag by $who." || status=$?
if [ "${status:-0}" -eq 124 ]; then
    printf '%s\n' "::warning::The release of $tag goes on, longer than GitHub lets a job wait. See perennial status."
    exit 0
fi
exit "${status:-0}"
