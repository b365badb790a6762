"""Tokens for a person who has logged in. Imported only if a credential of type `user` is configured."""
