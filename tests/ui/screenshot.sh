#!/usr/bin/env bash
# screenshot.sh PAGE.html OUT.png [WIDTH [HEIGHT [SCALE]]]: a picture of a report page, drawn by
# headless Chromium. The height "all" is that of the page. docs/report.png is 1280 2300 0.75.
set -euo pipefail

(($# >= 2)) || { echo "usage: screenshot.sh PAGE.html OUT.png [WIDTH [HEIGHT [SCALE]]]" >&2 && exit 2; }
page=$(realpath -- "$1")
picture=$(realpath -m -- "$2")
width=${3:-1280}
height=${4:-all}
scale=${5:-1}
[[ -f $page ]] || { echo "$1: there is no such file" >&2 && exit 2; }
command -v chromium >/dev/null ||
  { echo "chromium is missing; sudo apt-get install chromium" >&2 && exit 3; }

profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
browse() {
  chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync \
    --disable-default-apps --hide-scrollbars --disable-lcd-text --user-data-dir="$profile" \
    --virtual-time-budget=4000 --force-device-scale-factor="$scale" --window-size="$1" "${@:2}" "file://$page" 2>/dev/null
}
if [[ $height == all ]]; then
  # The page tells its height; the window must not be taller than it, or it would fill the window.
  height=$(browse "$width,600" --dump-dom | grep -o 'data-height="[0-9]*"' | tr -dc 0-9)
  [[ -n $height ]] || { echo "$1: is no report page" >&2 && exit 2; }
fi
browse "$width,$height" --screenshot="$picture" >/dev/null
[[ -s $picture ]] || { echo "$2: Chromium made no picture" >&2 && exit 4; }
