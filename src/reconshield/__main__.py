"""`python -m reconshield` is the same as `reconshield`."""

from reconshield.cli.main import main

if __name__ == "__main__":
    main()
