#!/bin/sh
# As the official image: fill /etc/nginx/templates/*.template into /etc/nginx/conf.d, run /docker-entrypoint.d/*.sh, then start.
set -e
if [ "${1:-}" = nginx ]; then
    # Only names that the environment defines, so that nginx's own $variables stay.
    defined=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/${\1}/p' | tr '\n' ' ')
    for template in /etc/nginx/templates/*.template; do
        [ -e "$template" ] || continue
        envsubst "$defined" < "$template" > "/etc/nginx/conf.d/$(basename "$template" .template)"
    done
    for script in /docker-entrypoint.d/*.sh; do
        [ -x "$script" ] && "$script"
    done
fi
exec "$@"
