"""The web console: pages, sign-in, and a way to the API server with the signed-in user's own rights.

It has no rights and keeps no data of its own: what a page shows comes from the API server, and what a page changes the
API server allows. ``docs/adr/0024-console.md`` says what is defended against whom.
"""
