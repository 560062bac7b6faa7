#!/bin/sh
# Say what runs, and where. Ends with 1 when a service is not healthy, and with 3 when there is none of this clone on this engine.
. "$(dirname "$0")/common.sh"
docker version >/dev/null 2>&1 || exit 3
name_project
[ -z "$(copied_from)$(other_clone)" ] || exit 3
[ -n "$(containers)" ] || exit 3
containers | while read -r service id state status; do
    printf '%-24s%s\n' "$service" "$status"
done
say_addresses
[ -z "$(not_ready)" ]
