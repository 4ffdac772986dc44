"""One deployment on a host: every path, port, UID, range and name of it, its record and its migrations."""
