#!/bin/sh
# The command `perennial` beside the platform in containers. `find` ends with 0 where one of this clone runs and with 3 where none
# does; `run WORD...` runs a word in a container of its own, from the image of the steps. ./perennial calls both.
. "$(dirname "$0")/common.sh"

what=${1:-}
[ $# -eq 0 ] || shift
case $what in
find)
    docker version >/dev/null 2>&1 || exit 3
    name_project
    [ -z "$(copied_from)$(other_clone)" ] || exit 3
    containers | grep -q ' running ' || exit 3
    ;;
run)
    need_docker
    need_compose
    name_project
    require_own
    if ! containers | grep -q ' running '; then
        say "No platform of this clone runs in containers. Start one: make up" >&2
        exit 4
    fi
    terminal=""
    [ -t 0 ] && [ -t 1 ] || terminal=-T
    # shellcheck disable=SC2086 - one option or none
    compose run --rm --no-deps $terminal -e PERENNIAL_PERSON="$(id -un)@$(uname -n)" command "$@"
    ;;
*) fail "$0 takes find or run, not '$what'." ;;
esac
