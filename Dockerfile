# The image: one static binary, no shell, no write access needed, a numeric user.
#
# `docker buildx build --platform linux/amd64,linux/arm64 .` builds all of it, the binary included (stage `built`).
# `cargo image` builds the binary itself and hands it in (stage `prebuilt`), so that no base image has to be fetched.
ARG BINARY=built

FROM --platform=$BUILDPLATFORM docker.io/library/rust:1.95-slim-bookworm AS built
# Set by whoever builds: amd64 or arm64.
ARG TARGETARCH
# The compiler of the machine that builds, and the one for the other architecture: either may be the builder's own.
RUN case "$(dpkg --print-architecture)" in \
      amd64) cross="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
      arm64) cross="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
      *) echo "build on amd64 or arm64" >&2; exit 1 ;; \
    esac && \
    apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev $cross
WORKDIR /src
COPY . .
# The same build as in benches/image/main.rs, and the same flags.
ENV RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc
RUN case "$TARGETARCH" in \
      amd64) target=x86_64-unknown-linux-gnu ;; \
      arm64) target=aarch64-unknown-linux-gnu ;; \
      *) echo "no image is made for '$TARGETARCH'" >&2; exit 1 ;; \
    esac && \
    rustup target add "$target" && \
    cargo build --locked --profile dist --bin signpost --target "$target" && \
    cp "target/$target/dist/signpost" /signpost

FROM scratch AS prebuilt
COPY signpost /signpost

FROM ${BINARY} AS binary

FROM scratch
COPY --from=binary /signpost /signpost
USER 65532:65532
EXPOSE 53/udp 53/tcp 8080/tcp 8181/tcp 9153/tcp
ENTRYPOINT ["/signpost"]
