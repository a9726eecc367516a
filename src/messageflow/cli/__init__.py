"""The command line: the composition root, where the parts are put together and nothing imports back."""
