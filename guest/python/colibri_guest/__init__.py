"""The Python guest: the process in a sandbox that loads user code and runs invocations (contract/guest/link.ts)."""
