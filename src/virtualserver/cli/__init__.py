"""The ``vs`` command: one-machine mode for people and for scripts. Decides nothing that another part can decide."""
