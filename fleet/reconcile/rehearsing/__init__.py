"""A change of manifests, tried on simulated copies of the hosts."""
