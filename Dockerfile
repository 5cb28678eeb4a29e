# Builds the three images of Kadre with Docker or buildah:
#   docker build --target kadre -t kadre .
#   docker build --target agent-runtime -t kadre-agent-runtime .
#   docker build --target sandbox -t kadre-sandbox .
# `make image` builds the same three without a container engine; it takes the version of Node from here.
# The final stages start from nothing: Node, the libraries it is linked to, certificates, and the program. No shell, but in
# the sandbox: that is what it is for.
ARG NODE_VERSION=26.10.0

FROM node:${NODE_VERSION}-bookworm AS build
WORKDIR /src
COPY . .
RUN npm ci --loglevel=error \
 && node scripts/bundle.ts \
 && node scripts/image/rootfs.ts "$(command -v node)" /rootfs \
 && node scripts/image/sandbox-rootfs.ts /sandbox

FROM scratch AS node
COPY --from=build /rootfs /
USER 65532:65532
WORKDIR /app
# As scripts/image/node-settings.ts says, and why.
ENV PATH=/usr/bin NODE_ENV=production MALLOC_ARENA_MAX=2
ENTRYPOINT ["/usr/bin/node", "--heap-growing-percent=10", "--max-semi-space-size=2", "/app/main.js"]

FROM node AS sandbox
LABEL org.opencontainers.image.title=kadre-sandbox org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /sandbox /
WORKDIR /work
ENV PATH=/usr/bin:/bin
ENTRYPOINT ["/usr/bin/python3", "-I", "-B", "/runner", "--work", "/work"]

FROM node AS agent-runtime
LABEL org.opencontainers.image.title=kadre-agent-runtime org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /src/dist/agent-runtime /app

FROM node AS kadre
LABEL org.opencontainers.image.title=kadre org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /src/dist/kadre /app
