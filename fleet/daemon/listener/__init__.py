"""What a running daemon shows and takes: health, metrics, status, history, events, a page for people, and requests."""
