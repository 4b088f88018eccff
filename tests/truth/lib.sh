# For the truth tests: figures of strobe against those of independent tools, cumulatively over a load.
# shellcheck shell=sh
#
# Two programs never read at the same moment, so each reading of a tool stands between two of strobe:
# the tool's difference must lie between strobe's smallest and largest possible one, give or take 1 % or
# one quantum. The load begins and ends within the window: on a quiet machine both are nearly equal.
set -eu
export LC_ALL=C
sampler=${B:-build}/tests/tool_sample
work=$(mktemp -d "${TMPDIR:-/tmp}/strobe-truth-XXXXXX")
load_pids=
truth_end() {
	for p in $load_pids; do kill "$p" 2>/dev/null || :; done
	rm -rf "$work"
}
trap truth_end EXIT
trap 'exit 1' INT TERM

# need TOOL...: without one of them the test is skipped.
need() {
	for t in "$@"; do
		command -v "$t" >/dev/null || {
			echo "skipped: $t is not installed"
			exit 0
		}
	done
	[ -x "$sampler" ] || { echo "no $sampler: make $sampler" >&2; exit 1; }
}

# between TAG FUNCTION: FUNCTION's lines "name value" to $work/tool.TAG, strobe's before and after it to
# $work/lo.TAG and $work/hi.TAG, as "metric instance value".
between() {
	"$sampler" $collectors >"$work/lo.$1"
	"$2" >"$work/tool.$1"
	"$sampler" $collectors >"$work/hi.$1"
}

# compare <MAP: its lines say "name metric instance factor quantum kind": the tool's figure is `name`,
# strobe's is metric{instance} * factor, kind is "counter", "moved" (a counter that the load must have
# moved) or "level". Prints a table of what differs and one line of summary; fails on a difference.
compare() {
	awk -v w="$work" '
		function load(file, into,    w, line) {
			while ((getline line < file) > 0) {
				split(line, w, " ")
				into[w[1] " " w[2]] = w[3]
			}
		}
		function tool(file, into,    w, line) {
			while ((getline line < file) > 0) {
				split(line, w, " ")
				into[w[1]] = w[2]
			}
		}
		function abs(x) { return x < 0 ? -x : x }
		function check(name, got, lo, hi, quantum,    tol) {
			tol = abs(got) / 100
			if (tol < quantum) tol = quantum
			n++
			if (got < lo - tol || got > hi + tol) {
				printf "%-36s tool %.0f, strobe %.0f to %.0f\n", name, got, lo, hi
				bad++
			}
			else if (got != 0 && (hi - lo) / abs(got) > widest) {
				widest = (hi - lo) / abs(got)
				widest_name = name
			}
		}
		BEGIN {
			load(w "/lo.a", a0); load(w "/hi.a", a1); load(w "/lo.b", b0); load(w "/hi.b", b1)
			tool(w "/tool.a", ta); tool(w "/tool.b", tb)
		}
		/^#/ || NF < 6 { next }
		{
			key = $2 " " $3
			if (!($1 in ta) || !($1 in tb)) { print $1 ": the tool did not say it"; bad++; next }
			if (!(key in a0) || !(key in b1)) { print $1 ": strobe has no " $2 "{" $3 "}"; bad++; next }
			if ($6 == "level") {
				lo = a0[key] < a1[key] ? a0[key] : a1[key]
				hi = a0[key] + a1[key] - lo
				check($1 " before", ta[$1], lo * $4, hi * $4, $5)
				lo = b0[key] < b1[key] ? b0[key] : b1[key]
				hi = b0[key] + b1[key] - lo
				check($1 " after", tb[$1], lo * $4, hi * $4, $5)
				next
			}
			if ($6 == "moved" && tb[$1] <= ta[$1]) { print $1 ": the load did not move it"; bad++ }
			check($1, tb[$1] - ta[$1], (b0[key] - a1[key]) * $4, (b1[key] - a0[key]) * $4, $5)
		}
		END {
			printf "%d figures, %d differ; widest bound %.1f %% (%s)\n", n, bad, widest * 100, widest_name
			exit bad > 0 || n == 0
		}
	'
}
