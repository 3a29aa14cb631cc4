"""From what hosts hold to the entries of a manifest that ask for just that."""
