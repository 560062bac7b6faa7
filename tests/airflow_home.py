"""The Airflow of the tests: no setting of the surroundings reaches it.

Airflow reads its configuration when it is first imported, so the conftest of all tests imports this first.
"""

import json
import os
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="perennial-airflow-"))
for variable in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[variable]
os.environ["AIRFLOW_HOME"] = str(AIRFLOW_HOME)
(AIRFLOW_HOME / "airflow.cfg").write_text(f"""
[core]
dags_folder = {PROJECT}/dags
plugins_folder = {PROJECT}/plugins
load_examples = False
fernet_key = dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=
simple_auth_manager_users = admin:admin,guest:viewer
simple_auth_manager_passwords_file = {AIRFLOW_HOME}/passwords.json
[database]
sql_alchemy_conn = sqlite:///{AIRFLOW_HOME}/airflow.db
[dag_processor]
dag_bundle_storage_path = {AIRFLOW_HOME}/bundles
[logging]
base_log_folder = {AIRFLOW_HOME}/logs
[api_auth]
jwt_secret = {"secret" * 12}
[api]
base_url = http://airflow.example/prefix/
[usage_data_collection]
enabled = False
""")
(AIRFLOW_HOME / "passwords.json").write_text(json.dumps({"admin": "secret", "guest": "secret"}))
