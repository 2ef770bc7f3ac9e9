# The rollcall command, for a user without rights, on a root file system that may be read-only:
#   docker build -t rollcall .
#   docker run --rm --read-only -v "$PWD":/config:ro -v rollcall:/var/lib/rollcall rollcall plan
# The configuration names the record: url = "sqlite:///var/lib/rollcall/rollcall.db"
FROM rust:1-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked \
    && install -D target/release/rollcall /out/usr/local/bin/rollcall \
    # A new volume takes its owner from here.
    && install -d -m 0700 -o 10001 -g 10001 /out/var/lib/rollcall

FROM debian:bookworm-slim
# git tells the revision that the history names; the configuration may belong to somebody else. Certificates are compiled in.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system safe.directory /config
COPY --from=build /out /
USER 10001:10001
VOLUME /var/lib/rollcall
WORKDIR /config
ENTRYPOINT ["rollcall"]
CMD ["--help"]
