"""A small service that signs messages with a key from a Kubernetes Secret."""
