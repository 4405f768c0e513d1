"""The pages: what they show, free of any web framework."""
