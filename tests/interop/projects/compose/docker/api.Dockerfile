# syntax=docker/dockerfile:1
ARG GO=1.24
FROM --platform=$BUILDPLATFORM golang:${GO} AS build
RUN --mount=type=bind,from=busybox:1.36,source=/bin,target=/busy true
FROM base
COPY --from=build /go/bin /bin
COPY --link --from=ghcr.io/acme/certs:1 /certs /certs
