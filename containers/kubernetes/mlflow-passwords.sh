#!/bin/sh
# The passwords with which steps log in to MLflow, as lines for the Secret of the steps: sh mlflow-passwords.sh MODEL...
# They are derived from PERENNIAL_MLFLOW_KEY, which MLflow and Airflow's workers have and no step gets.
set -eu
: "${PERENNIAL_MLFLOW_KEY:?set it to the key that MLflow was started with}"

users="reader gate release card"
for model; do users="$users model-$model"; done
for user in $users; do
    password=$(PERENNIAL_USER=perennial-$user python3 -c 'import hmac, os
print(hmac.new(os.environb[b"PERENNIAL_MLFLOW_KEY"], os.environb[b"PERENNIAL_USER"], "sha256").hexdigest())')
    printf 'MLFLOW_TRACKING_PASSWORD.perennial-%s=%s\n' "$user" "$password"
done
