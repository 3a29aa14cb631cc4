"""Where a daemon's manifests come from: files and folders, or a Git repository; read whole or not at all."""
