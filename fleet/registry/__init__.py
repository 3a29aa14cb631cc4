"""What publishers serve: image manifests asked of registries, digests in the forms that hosts list, and the lock file."""
