#!/bin/sh
# Become the HTTPS entrance: make a certificate where none was given, write nginx's configuration, and start it.
set -eu
umask 077
certificate=/var/tmp/tls.crt
key=/var/tmp/tls.key

fail() {
    echo "The entrance cannot start: $*" >&2
    exit 1
}

# The common name marks a certificate as ours: ours is renewed, another's never touched.
ours() { openssl x509 -in "$certificate" -noout -issuer | grep -q "Perennial, self-signed"; }
good_for_a_month() { openssl x509 -in "$certificate" -noout -checkend 2592000 >/dev/null; }
for_this_host() { openssl x509 -in "$certificate" -noout -ext subjectAltName | grep -q -e "DNS:$PUBLIC_HOST\b" -e "IP Address:$PUBLIC_HOST\b"; }

make_certificate() {
    case $PUBLIC_HOST in
    localhost) names="DNS:localhost,DNS:entrance,IP:127.0.0.1" ;;
    *[!0-9.]*) names="DNS:$PUBLIC_HOST,DNS:localhost,DNS:entrance,IP:127.0.0.1" ;;
    *) names="IP:$PUBLIC_HOST,DNS:localhost,DNS:entrance,IP:127.0.0.1" ;;
    esac
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 825 \
        -subj "/O=Perennial, self-signed/CN=$PUBLIC_HOST" -addext "subjectAltName=$names" \
        -addext "extendedKeyUsage=serverAuth" -keyout "$key" -out "$certificate" 2>/tmp/openssl.log ||
        fail "it could not make a certificate in TLS_FOLDER: $(tail -n 1 /tmp/openssl.log)"
    chmod 644 "$certificate"
    echo "Made a self-signed certificate for $names."
}

[ -e "$certificate" ] || [ ! -e "$key" ] || fail "TLS_FOLDER has tls.key but no tls.crt. Put both there, or neither."
if [ ! -e "$certificate" ]; then
    make_certificate
fi
[ -r "$certificate" ] && [ -r "$key" ] ||
    fail "tls.crt and tls.key in TLS_FOLDER must be there and readable by user $(id -u) (chown $(id -u) tls.key)."
strict="# no HSTS: with a certificate that nobody signed, a browser would lock its user out"
if ours; then
    good_for_a_month && for_this_host || make_certificate
else
    strict='add_header Strict-Transport-Security "max-age=31536000" always;'
fi

# A word as a regular expression that matches it alone.
literally() { printf '%s' "$1" | sed 's/[^A-Za-z0-9]/\\&/g'; }
# The tokens of `name=token,name=token` as one regular expression. Of a hash nobody can tell here who bears its token.
tokens=""
set -f
for entry in $(printf '%s' "$PREDICTION_TOKENS" | tr ',' ' '); do
    token=${entry#*=}
    case $token in
    sha256:*) fail "PREDICTION_TOKENS has the hash of ${entry%%=*}; the reverse proxy needs the token itself." ;;
    "" | *[!A-Za-z0-9._~+/=-]*) fail "The token of ${entry%%=*} may hold letters, digits and . _ ~ + / = - only, as a bearer token does." ;;
    esac
    tokens="$tokens${tokens:+|}$(literally "$token")"
done
login=$(literally "$(printf '%s:%s' "$MLFLOW_USER" "$MLFLOW_PASSWORD" | base64 -w 0)")
printf '%s:%s\n' "$MLFLOW_USER" "$(printf '%s' "$MLFLOW_PASSWORD" | openssl passwd -6 -stdin)" > /tmp/mlflow.users
port=":$HTTPS_PORT"
[ "$HTTPS_PORT" != 443 ] || port=""
others=0
[ -n "$tokens" ] || others=1
inside="internal|metrics"
realm=off
if [ -z "$EDGE_WORKERS" ]; then
    inside="$inside|execution|edge_worker"
    realm=MLflow
else
    # Workers on other machines call Airflow from outside, with tokens of their own, and their steps MLflow (docs/edge.md): as users
    # whose names begin with `perennial`, which this is in base64, and whose passwords are not to be guessed.
    login="($login|cGVyZW5uaWFs.*)"
fi

# By a file, because others see what a program is called with.
fill() { printf 's\001@%s@\001%s\001g\n' "$1" "$(printf '%s' "$2" | sed 's/[\\&]/\\&/g')"; }
{
    fill HOST "$PUBLIC_HOST"
    fill PORT "$port"
    fill STRICT "$strict"
    fill INSIDE "$inside"
    fill OTHERS "$others"
    fill TOKENS "$tokens"
    fill MLFLOW_REALM "$realm"
    fill MLFLOW_LOGIN "$login"
} > /tmp/fill.sed
sed -f /tmp/fill.sed /etc/perennial/entrance.conf > /tmp/nginx.conf
nginx -t -q -c /tmp/nginx.conf -e stderr
exec nginx -c /tmp/nginx.conf -e stderr
