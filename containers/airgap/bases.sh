#!/bin/sh
# Make stand-ins for the public base images from Debian packages, where no registry can be reached.
#
#     containers/airgap/bases.sh                     what Perennial needs
#     containers/airgap/bases.sh redis:7-bookworm    one of them
#
# A base that the engine has under its public name is left alone, so running this twice, or after `docker load`, is safe. Needs
# root (debootstrap makes device nodes), Docker, and debootstrap; the packages come from the mirrors of this machine's own apt
# sources, or from MIRROR. The certificates that this machine trusts beyond Debian's own are trusted in the stand-ins too
# (CA_BUNDLE, by default what PIP_CERT, SSL_CERT_FILE or Debian name).
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
SUITE=bookworm
DEBIAN=debian:bookworm-slim
ALL="python:3.11-slim-bookworm postgres:15-bookworm redis:7-bookworm nginx:1.28-bookworm"

say() { echo "bases: $*"; }
fail() { echo "bases: $*" >&2; exit 1; }
present() { docker image inspect "$1" >/dev/null 2>&1; }

mirror() {
    [ -n "${MIRROR:-}" ] && { echo "$MIRROR"; return; }
    sources | awk -v suite="$SUITE" '$3 == suite { print $2; exit }'
}

# The machine's apt sources of this suite, in the one-line form.
sources() {
    if [ -n "${MIRROR:-}" ]; then
        echo "deb $MIRROR $SUITE main"
    elif command -v apt-get >/dev/null; then
        # shellcheck disable=SC2016 # apt's own placeholders
        apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT) #$(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
            awk -v suite="$SUITE" '/#Debian$/ && index($3, suite) == 1 { print $1, $2, $3, $4 }' | sort -u
    fi
}

# The certificates of a bundle that Debian does not have already, each as a file: update-ca-certificates takes one a file.
add_certificates() {
    bundle=${CA_BUNDLE:-${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}}
    [ -r "$bundle" ] || return 0
    awk -v folder="$1/usr/local/share/ca-certificates" '
        /-----BEGIN CERTIFICATE-----/ { body = ""; inside = 1; next }
        /-----END CERTIFICATE-----/ {
            inside = 0
            if (FILENAME == ARGV[1]) known[body] = 1
            else if (!(body in known)) {
                known[body] = 1
                file = folder "/company-" ++count ".crt"
                print "-----BEGIN CERTIFICATE-----\n" body "-----END CERTIFICATE-----" > file
                close(file)
            }
        }
        inside { sub(/\r$/, ""); body = body $0 "\n" }
    ' "$1/etc/ssl/certs/ca-certificates.crt" "$bundle"
    chroot "$1" update-ca-certificates >/dev/null
}

# Debian without what an image never reads, now and in later installations; the sources are this machine's.
slim() {
    cat > "$1/etc/dpkg/dpkg.cfg.d/slim" <<-END
		path-exclude /usr/share/doc/*
		path-include /usr/share/doc/*/copyright
		path-exclude /usr/share/man/*
		path-exclude /usr/share/info/*
		path-exclude /usr/share/locale/*
	END
    sources > "$1/etc/apt/sources.list"
    chroot "$1" sh -ec 'apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qqy upgrade; apt-get clean' >/dev/null
    find "$1/usr/share/doc" -type f ! -name copyright -delete
    rm -rf "$1"/usr/share/man/* "$1"/usr/share/info/* "$1"/usr/share/locale/* "$1"/var/lib/apt/lists/* "$1"/var/cache/* \
        "$1"/var/log/* "$1"/etc/resolv.conf "$1"/etc/hostname
}

make_debian() {
    [ "$(id -u)" = 0 ] || fail "only root can make $DEBIAN: debootstrap needs it. Run: sudo $0"
    command -v debootstrap >/dev/null || fail "debootstrap is missing. Run: apt-get install debootstrap"
    from=$(mirror)
    [ -n "$from" ] || fail "this machine's apt has no source for Debian $SUITE. Name one: MIRROR=http://... $0"
    root=$(mktemp -d "${TMPDIR:-/tmp}/bases.XXXXXX")
    trap 'rm -rf "$root"' EXIT
    say "$DEBIAN from $from (about a minute)"
    debootstrap --variant=minbase --include=ca-certificates "$SUITE" "$root" "$from" > "$root.log" 2>&1 ||
        fail "debootstrap failed; the end of $root.log: $(tail -n 3 "$root.log")"
    rm -f "$root.log"
    add_certificates "$root"
    slim "$root"
    tar -C "$root" -c . | docker import --change 'CMD ["bash"]' --change "LABEL perennial.stand-in=$DEBIAN" - "$DEBIAN" >/dev/null
    rm -rf "$root"
    trap - EXIT
}

make_base() {
    present "$DEBIAN" || make_debian
    say "$1"
    # Predefined arguments: their values stay out of the image's history.
    DOCKER_BUILDKIT=0 docker build --quiet --target "${1%%:*}" --label "perennial.stand-in=$1" --tag "$1" \
        --build-arg http_proxy --build-arg https_proxy --build-arg no_proxy "$HERE" >/dev/null
}

docker version >/dev/null 2>&1 || fail "no Docker engine answers. Start it (systemctl start docker), or set DOCKER_HOST."
for base in ${*:-$ALL}; do
    case " $ALL " in *" $base "*) ;; *) fail "$base has no stand-in. There are: $ALL" ;; esac
    present "$base" || make_base "$base"
done
