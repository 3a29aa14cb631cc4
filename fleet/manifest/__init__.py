"""What people write: the inventory and the manifests, read with places, and what they ask of each host."""
