"""The ledger as it is read: its schema, its files wherever they lie, and its tables."""
