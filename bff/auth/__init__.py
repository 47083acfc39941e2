"""Who is asking: credentials, whose they are, and what each operation demands (contract.md, "Who is asking")."""
