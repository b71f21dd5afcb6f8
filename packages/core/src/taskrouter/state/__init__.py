"""What outlives a step and what several processes share: entries, accounts and logs, behind one protocol."""
