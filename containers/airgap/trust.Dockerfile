# A Debian-based public image that trusts a company's certificate as well: `make images CA=/path/to/company.crt`.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
COPY company.crt /usr/local/share/ca-certificates/company.crt
RUN chmod 0644 /usr/local/share/ca-certificates/company.crt && update-ca-certificates
# Python's HTTP clients bring certificates of their own; these make them trust what the system trusts.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt
