# One image for worker, guard, producer, admin and CLI. Node 24 runs the TypeScript sources as they
# are, so nothing is compiled. Builds with the classic builder of Docker 20.10 and with BuildKit.
#
# With a network, npm ci fetches the modules. Without one, put them beside this file first:
#   npm ci --omit=dev && tar -cf node_modules.tar node_modules        (no other change)
FROM node:24-bookworm-slim AS modules
WORKDIR /opt/hobbler
# The star makes the archive optional, as a plain name that isn't there is an error. ADD unpacks it.
ADD package.json package-lock.json node_modules.tar* ./
# Nothing here runs the compiler, an optional peer of a dependency, nor the Node that hobbler brings for machines with
# an older one: 160 MB.
RUN { [ -d node_modules ] || npm ci --omit=dev --no-audit --no-fund; } && rm -rf node_modules/node node_modules/typescript node_modules/@typescript

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /opt/hobbler
COPY --from=modules /opt/hobbler/node_modules ./node_modules
COPY package.json cli.ts ./
COPY bin ./bin
COPY cli ./cli
COPY demo ./demo
COPY shared ./shared
COPY client ./client
COPY producer ./producer
COPY worker ./worker
COPY admin ./admin
# `docker exec … hobbler status` and the like
RUN ln -s /opt/hobbler/bin/hobbler.js /usr/local/bin/hobbler
# The sources belong to root and nobody else may write them. The number, not the name `node`: compose
# and Kubernetes can then check that it isn't root. Worker and guard ask for root in compose.
USER 1000:1000
ENTRYPOINT ["node", "/opt/hobbler/cli.ts"]
CMD ["--help"]
