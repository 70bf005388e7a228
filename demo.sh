#!/bin/sh
# Set up a virtual environment and run the main job; arguments go to `tapeflow demo`.
set -eu
. "$(dirname "$0")/tools/venv.sh"
use_venv demo
exec "$py" -m tapeflow demo "$@"
