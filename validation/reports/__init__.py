"""The report of a validation: its data, its JSON, and its tables and figures for readers."""
