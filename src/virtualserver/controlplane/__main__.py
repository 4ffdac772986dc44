"""The supervisor's process: ``python -m virtualserver.controlplane`` with ``VS_INSTANCE`` and ``VS_STATE``."""

from __future__ import annotations

import sys

from virtualserver.controlplane import supervisor

sys.exit(supervisor.main())
