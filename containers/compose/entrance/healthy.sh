#!/bin/sh
# Whether the entrance answers over HTTPS. With openssl, which the image has for its certificate; it has no HTTP client.
printf 'GET /healthy HTTP/1.0\r\n\r\n' | openssl s_client -quiet -connect 127.0.0.1:8443 2>/dev/null | grep -q "The entrance is open"
