# syntax=docker/dockerfile:1
# SPDX-License-Identifier: MIT
# The program alone on a small Debian: no compiler, no shell is needed to run it, nothing of it may
# be written but /var/lib/portcullis and /run/portcullis. See docs/packages.md.
FROM debian:12-slim AS build
WORKDIR /source
COPY . .
RUN scripts/deps build && scripts/build build -Dtests=false
RUN DESTDIR=/out packaging/install build/portcullis /usr && strip /out/usr/bin/portcullis

FROM debian:12-slim
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates cracklib-runtime libargon2-1 libcrack2 libcyaml1 libhiredis0.14 \
        libnghttp2-14 libpq5 libseccomp2 libsqlite3-0 libssl3 libuv1 \
        libyaml-0-2 && \
    rm -rf /var/lib/apt/lists/* && \
    groupadd --system --gid 10001 portcullis && \
    useradd --system --uid 10001 --gid 10001 --no-create-home \
        --home-dir /var/lib/portcullis --shell /usr/sbin/nologin portcullis && \
    install -d -m 0700 -o 10001 -g 10001 /var/lib/portcullis /run/portcullis /var/log/portcullis
COPY --from=build /out/usr/bin/portcullis /usr/bin/portcullis
USER 10001:10001
WORKDIR /var/lib/portcullis
VOLUME ["/var/lib/portcullis"]
EXPOSE 8000 8001 8002 8003 8004 8005
STOPSIGNAL SIGTERM
# Asks the node itself, by its operators' socket: an image without curl needs no other way.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["portcullis", "admin", "upstreams", "--config", "/etc/portcullis/portcullis.yaml"]
ENTRYPOINT ["portcullis"]
CMD ["serve", "--config", "/etc/portcullis/portcullis.yaml"]
