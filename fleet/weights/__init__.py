"""Weights on this machine: what a file holds, its digest, and its bytes on their way to hosts."""
