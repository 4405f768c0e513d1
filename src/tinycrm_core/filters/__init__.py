"""The filter language: one tree, spelled as text, as query pairs and as an English sentence."""
