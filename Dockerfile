# docker build --tag secretbridge .
#
# The image gets the files of `npm run image:files`, which the tests run: /app and a link to its program. It adds only Node,
# without npm, on the base of Node's own image.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim@sha256:2fe369e969550cde8e867afc3fe370b260140cab4a23d467074295b42163d553
ARG BUILD_IMAGE=${NODE_IMAGE}
ARG BASE_IMAGE=debian:bookworm-20260918-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251

# This stage runs on the platform of the builder. Its files are the same for every platform.
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No package needs its install script, so no script is run.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/image-files.ts /out && mkdir /state

FROM ${NODE_IMAGE} AS node

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="secretbridge" \
      org.opencontainers.image.description="Keeps Kubernetes Secrets in sync with Vault/OpenBao, AWS Secrets Manager and Azure Key Vault" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.base.name="debian:bookworm-20260918-slim"
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=build /out/ /
COPY --from=build --chown=10001:10001 /state/ /var/lib/secretbridge/
ENV NODE_ENV=production
# Returns freed memory of values and answers to the system (docs/adr/0015-bound-the-memory-of-the-service.md).
ENV MALLOC_ARENA_MAX=2
ENV MALLOC_MMAP_THRESHOLD_=131072
# A number, because `runAsNonRoot` cannot check a name. The program writes only to /var/lib/secretbridge (the SQLite audit). Run it
# with a read-only root file system and a volume there.
USER 10001:10001
WORKDIR /var/lib/secretbridge
VOLUME /var/lib/secretbridge
EXPOSE 8080 9090
# For Docker and Compose. Kubernetes has its own probes. It needs `http.listen` on port 8080 without TLS.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/usr/local/bin/node", "--disable-sigusr1", "-e", "fetch('http://127.0.0.1:8080/livez').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# The program ignores SIGUSR1. The option closes the moment before, in which this signal would open the inspector.
ENTRYPOINT ["/usr/local/bin/node", "--disable-sigusr1", "/app/bin/secretbridge.js"]
CMD ["serve", "--config", "/etc/secretbridge/"]
