"""Keeps fleets of Ollama hosts at a declared state."""
