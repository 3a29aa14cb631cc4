"""What fleet remembers between passes: a record, not the truth; lost, it is rebuilt by looking at the hosts."""
