"""What people read: plans, reports and progress as text, JSON, JSON lines and Markdown."""
