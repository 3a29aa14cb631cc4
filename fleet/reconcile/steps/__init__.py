"""What each kind of step does to a host: carried out, proven, recorded."""
