# The image: one static binary, no shell, no write access needed, a numeric user.
# Built around a binary that `cargo image` makes first, so that no base image has to be fetched.
FROM scratch
COPY signpost /signpost
USER 65532:65532
EXPOSE 53/udp 53/tcp 8080/tcp 8181/tcp 9153/tcp
ENTRYPOINT ["/signpost"]
