"""The versioned SQL: its declaration, the rules that it is held to, the list of what is released."""
