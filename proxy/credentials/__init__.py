"""What is injected, and how it stays fresh."""
