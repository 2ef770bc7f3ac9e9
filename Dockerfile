# The rollcall command and nothing else, for a user without rights, on a root file system that may be read-only:
#   docker build -t rollcall .
#   docker run --rm --read-only -v "$PWD":/config:ro -v rollcall:/var/lib/rollcall rollcall plan
# The configuration names the record: url = "sqlite:///var/lib/rollcall/rollcall.db"
FROM rust:1-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked \
    && install -D target/release/rollcall /out/rollcall \
    && mkdir -m 0700 /out/state

# The C library and the time zones, and no shell. Certificates are compiled in. Where git is missing, as here, the history
# names the configuration by its digest alone.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/rollcall /usr/local/bin/rollcall
# A new volume takes its owner from here.
COPY --from=build --chown=10001:10001 /out/state /var/lib/rollcall
USER 10001:10001
VOLUME /var/lib/rollcall
WORKDIR /config
ENTRYPOINT ["/usr/local/bin/rollcall"]
CMD ["--help"]
