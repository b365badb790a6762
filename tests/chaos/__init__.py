"""Faults that come and go while callers wait, and a ledger of what each caller got."""
