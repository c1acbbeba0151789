"""Who is at the terminal, as records name them."""


def person() -> str:
    """`cli:USER`."""
    from getpass import getuser

    try:
        return f"cli:{getuser()}"
    except (KeyError, OSError):
        # A user id without a name, as in many containers.
        return "cli:unknown"


def name_of_person() -> str:
    """Who moves an alias by hand, for the record."""
    return person().removeprefix("cli:")
