"""Adapters to models: each makes one attempt at one request and raises one of the four failure kinds.

Real ones call a provider (`openai`), stand-ins answer from what a test wrote (`scripted`) or from rules (`rules`).
Retries, fallback and budget are the gate's, so that they stand in the journal.
"""
