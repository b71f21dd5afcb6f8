"""`python -m taskrouter` is the command line, for where scripts are not on the path."""

from taskrouter.cli.app import main

if __name__ == "__main__":
    main()
