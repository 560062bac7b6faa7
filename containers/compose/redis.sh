#!/bin/sh
# Become Redis, its password read from a file that only it sees: what stands in a command, every process list shows.
set -eu
umask 077
cat > /tmp/redis.conf <<CONFIGURATION
requirepass $REDISCLI_AUTH
dir /data
# What Celery's queues hold survives a kill but for the last second, and Airflow queues that again.
appendonly yes
appendfsync everysec
save ""
maxmemory 192mb
maxmemory-policy noeviction
CONFIGURATION
exec redis-server /tmp/redis.conf
