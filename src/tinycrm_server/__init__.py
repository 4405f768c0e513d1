"""The bundled server and the command line."""
