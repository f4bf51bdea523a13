# One image of Rewind: `docker build --build-arg SERVICE=rewind-differ --tag rewind-differ:0.1.0 .`
# SERVICE is rewind-snapshotter, rewind-differ, rewind-restorer, rewind-gateway or rewind (client and practice tenant).
# `cargo xtask image` makes the same images without an engine.
FROM rust:1.95-bookworm AS built
WORKDIR /src
COPY . .
ARG SERVICE
# The image's files as xtask packs them: program, libraries, authorities, account, licences and bill of materials.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    case "$SERVICE" in rewind-snapshotter|rewind-differ|rewind-restorer|rewind-gateway|rewind) ;; \
      *) echo "SERVICE is not one of the images" >&2; exit 64 ;; esac \
    && cargo run --locked --release --package xtask -- image "$SERVICE" --output /image \
    && mkdir /layout /rootfs \
    && tar -xf /image/"$SERVICE"-*.tar -C /layout \
    && layer=$(grep -o 'blobs/sha256/[0-9a-f]*"\]' /layout/manifest.json | tr -d '"]') \
    && tar -xzf /layout/"$layer" -C /rootfs \
    && ln -s "/usr/local/bin/$SERVICE" /rootfs/entrypoint

FROM scratch
COPY --from=built /rootfs/ /
USER 65532:65532
ENV PATH=/usr/local/bin
WORKDIR /
STOPSIGNAL SIGTERM
ARG SERVICE
LABEL org.opencontainers.image.title="$SERVICE" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
ENTRYPOINT ["/entrypoint"]
