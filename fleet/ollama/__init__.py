"""What servers say: every endpoint of Ollama's API, typed, with limits on everything that is read."""
