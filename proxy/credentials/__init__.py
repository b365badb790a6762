"""Gets credentials, and keeps them fresh."""
