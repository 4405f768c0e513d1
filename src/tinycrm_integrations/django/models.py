"""No models: the tables of TinyCRM are its own.

Django announces the end of a migration only to applications that have this module.
"""
