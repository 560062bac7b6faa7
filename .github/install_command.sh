#!/bin/sh
# Make FOLDER/perennial, the command for a platform elsewhere (PERENNIAL_URL), in an environment of what it imports alone.
# Versions are those of the lock of the heavy steps, in whose environment the command runs elsewhere.
# Usage: install_command.sh FOLDER
set -eu
folder=$1
project=$(dirname "$(dirname "$(readlink -f "$0")")")
"${PYTHON:-python3.11}" -m venv "$folder"
grep -oE '^[a-z0-9][a-z0-9._-]*==[^ ;]+' "$project/containers/ml/requirements.txt" > "$folder/constraints.txt"
"$folder/bin/python" -m pip install --quiet --constraint "$folder/constraints.txt" \
    jsonschema pydantic-settings pyyaml requests tenacity typer
cat > "$folder/perennial" <<END
#!/bin/sh
PYTHONPATH=$project exec "$folder/bin/python" -P -m cli "\$@"
END
chmod +x "$folder/perennial"
