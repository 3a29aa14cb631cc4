"""The pass, repeated: when it is due, what it is made from, how every item stands, and how that is shown."""
