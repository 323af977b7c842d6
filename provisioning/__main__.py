"""`python -m provisioning` is the `tapover` command."""

from provisioning.cli import main

if __name__ == "__main__":
    main()
