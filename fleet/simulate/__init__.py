"""A fleet in one process: simulated Ollama hosts and a registry, over real sockets on loopback."""
