"""The command line: one module a verb; `main` turns errors into exit codes."""
