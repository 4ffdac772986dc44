"""One-machine mode as functions: what a command line or a console calls, and what they show.

Every function takes an `Installation` and returns values. What takes long is told to a `Report`; what goes wrong is an
error of `errors.EXPECTED`. Nothing here prints, asks, or knows how a command is written.
"""
