#!/bin/sh
# As the official image: options alone mean redis-server, and root steps down to the user redis.
set -e
case ${1:-} in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "${1:-}" = redis-server ]; then
    # Debian's redis runs protected mode, which refuses every other container; the network is what protects it here.
    case " $* " in *" --protected-mode "* | *.conf" "*) ;; *) set -- "$@" --protected-mode no ;; esac
    if [ "$(id -u)" = 0 ]; then
        find . \! -user redis -exec chown redis '{}' +
        exec gosu redis "$@"
    fi
fi
exec "$@"
