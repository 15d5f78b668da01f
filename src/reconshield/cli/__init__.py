"""The command line: arguments in, job called, result out. One file a verb; `main` composes them."""
