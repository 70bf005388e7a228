#!/bin/sh
# Set up a virtual environment and run the tests; arguments go to pytest.
set -eu
. "$(dirname "$0")/tools/venv.sh"
use_venv test
cd "$root"
exec "$py" -m pytest -n auto "$@"
