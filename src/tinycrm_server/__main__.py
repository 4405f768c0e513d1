"""`python -m tinycrm_server` is the command `tinycrm`."""

from tinycrm_server.cli import main

main()
