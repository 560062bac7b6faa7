#!/bin/sh
# Put into .env how Airflow sends the events of OpenLineage: as its provider wants it, made from PERENNIAL_OPENLINEAGE_URL and
# PERENNIAL_OPENLINEAGE_KEY there. embedded/lineage.py does the same for one machine. `make up` runs this.
. "$(dirname "$0")/common.sh"
url=$(setting PERENNIAL_OPENLINEAGE_URL)
key=$(setting PERENNIAL_OPENLINEAGE_KEY)

plain() { # name, value: what stands in a JSON text, and in .env, as it is
    case $2 in
    *[\"\'\\\$[:space:]]*) fail "$1 in $environment_file has a blank, a quote, a backslash or a dollar sign. Write it percent-encoded." ;;
    esac
}

plain PERENNIAL_OPENLINEAGE_URL "$url"
plain PERENNIAL_OPENLINEAGE_KEY "$key"
authority=${url#http*://}
case ${authority%%/*} in
*@*)
    fail "PERENNIAL_OPENLINEAGE_URL in $environment_file has a login in it, which Airflow's logs would show:" \
        "leave it out, and give the collector's token as PERENNIAL_OPENLINEAGE_KEY"
    ;;
esac
case $url in
"") transport= ;;
http://[!/]* | https://[!/]*)
    auth=${key:+", \"auth\": {\"type\": \"api_key\", \"apiKey\": \"$key\"}"}
    retry='{"total": 0, "connect": 0, "read": 0}'
    transport="{\"type\": \"http\", \"url\": \"${url%/}/\", \"timeout\": 2, \"retry\": $retry$auth}"
    ;;
file:///*[!/]) transport="{\"type\": \"file\", \"log_file_path\": \"${url#file://}\", \"append\": true}" ;;
*)
    fail "PERENNIAL_OPENLINEAGE_URL in $environment_file is no place that events of OpenLineage can be sent to:" \
        "give http(s)://host[:port] of a collector, or file:///home/perennial/airflow/logs/lineage.jsonl"
    ;;
esac
set_setting OPENLINEAGE_TRANSPORT "$transport"
