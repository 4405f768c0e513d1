"""Three small products that share one customer database; see README.md."""
