"""The pass: observe, compare, plan, execute, verify, report."""
