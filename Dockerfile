# Countersign as a container: docker build -t countersign . && docker run --rm countersign --help
# docker-compose.yml shows it at work. Wants Docker 25 or newer (--start-interval).

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No install script runs: none of the dependencies needs one.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts/compile.js scripts/bundle.js scripts/
COPY src src
RUN npm run build
# Compiled code, so that starts and health checks need not compile it again: of a run of the whole system, by the user that it is
# for (whose number is part of its name), and given to root afterwards like all that runs.
RUN mkdir cache && chown node cache
USER node
RUN export NODE_COMPILE_CACHE=/app/cache ADMIN=unix:/tmp/admin.sock; \
    node bin/countersign.js demo --listen 127.0.0.1:0 --admin "$ADMIN" >/dev/null & demo=$! \
 && node bin/countersign.js wait --admin "$ADMIN" && node bin/countersign.js healthcheck --admin "$ADMIN" && kill "$demo" && wait "$demo"
USER root
RUN chown -R root:root cache && chmod -R a+rX,go-w cache

FROM node:24-bookworm-slim
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Countersign" \
      org.opencontainers.image.description="A local authenticating reverse proxy: plain HTTP in, TLS and fresh credentials out." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim"
ENV NODE_ENV=production
WORKDIR /app
# Nothing is installed at run time, so no package manager is there to be used or patched.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* /opt/yarn* \
 && ln -s /app/bin/countersign.js /usr/local/bin/countersign
# The files belong to root and the process does not run as root: it cannot change them, read-only file system or not.
# LICENSE* and README*: as .dockerignore lets them through.
COPY package.json LICENSE* README* ./
COPY config/countersign.schema.json config/
# All that runs is in there, with its licences.
COPY --from=build /app/bin bin
COPY --from=build /app/cache cache
# Nobody can write there at run time, and Node says nothing of it. Another user than node starts without.
ENV NODE_COMPILE_CACHE=/app/cache
USER node
# Where it listens is no decision of the image: COUNTERSIGN_LISTEN=0.0.0.0:8080 and COUNTERSIGN_ALLOW_EXTERNAL=true let
# neighbours on a container network in, COUNTERSIGN_ALLOWED_HOSTS names what they call it.
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --start-interval=1s CMD ["countersign", "healthcheck"]
# node itself is process 1 and gets SIGTERM.
ENTRYPOINT ["node", "/app/bin/countersign.js"]
CMD ["serve"]
