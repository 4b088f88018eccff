# For the truth tests: figures of a running agent, asked over HTTP, against those of independent tools,
# cumulatively over a load.
# shellcheck shell=sh
#
# Two programs never read at the same moment, so what strobe has of a window a little narrower and of one a
# little wider than the tool's are the bounds that the tool's figure must keep to, give or take 1 % or one
# quantum. The load begins and ends within the window: on a quiet machine the bounds are nearly equal.
set -eu
export LC_ALL=C
strobe=${STROBE:-${B:-build}/strobe}
work=$(mktemp -d "${TMPDIR:-/tmp}/strobe-truth-XXXXXX")
agent_pid=
load_pids=
truth_end() {
	for p in $load_pids $agent_pid; do kill "$p" 2>/dev/null || :; done
	[ -z "$agent_pid" ] || wait "$agent_pid" 2>/dev/null || :
	rm -rf "$work"
}
trap truth_end EXIT
trap 'exit 1' INT TERM

# need TOOL...: without one of them the test is skipped.
need() {
	for t in curl "$@"; do
		command -v "$t" >/dev/null || {
			echo "skipped: $t is not installed"
			exit 77
		}
	done
}

# agent_start ARGS...: an agent of the test's own, on a port the kernel picks.
agent_start() {
	mkdir "$work/run"
	: >"$work/out"
	"$strobe" run --listen 127.0.0.1:0 --runtime-dir "$work/run" "$@" >"$work/out" 2>"$work/err" &
	agent_pid=$!
	for _ in $(seq 200); do
		agent_url=$(sed -n 's/^strobe: listening on //p' "$work/out")
		[ -n "$agent_url" ] && break
		kill -0 "$agent_pid" 2>/dev/null || break
		sleep 0.05
	done
	if [ -z "$agent_url" ]; then
		cat "$work/err" >&2
		exit 1
	fi
	agent_token=${agent_url##*token=}
	agent_url=${agent_url%%/#*}
	sleep 0.5 # two samples at least before the first window
}

now() { date +%s.%N; }

# between TAG FUNCTION: FUNCTION's lines "name value" to $work/tool.TAG, when it ran to $work/when.TAG.
between() {
	t0=$(now)
	"$2" >"$work/tool.$1"
	echo "$t0 $(now)" >"$work/when.$1"
}

add() { awk "BEGIN { printf \"%.6f\", $1 + $2 }"; }

# ask METRIC INSTANCE FROM TO: "first min max last" of the stored values in the range, in the unit.
ask() {
	[ "$2" = - ] && set -- "$1" "" "$3" "$4"
	curl -sG -H "Authorization: Bearer $agent_token" --data-urlencode "metric=$1" \
		--data-urlencode "instance=$(printf %s "$2" | sed 's,%20, ,g')" -d "from=$3" -d "to=$4" \
		-d points=1 -d rate=0 -d format=csv "$agent_url/api/v1/query" |
		awk -F , 'NR == 2 && $6 > 0 { printf "%s %s %s %s\n", $7, $8, $10, $11 }'
}

# compare <MAP: its lines say "name metric instance factor quantum kind": the tool's figure is `name`,
# strobe's is metric{instance} * factor, kind is "counter", "moved" (a counter that the load must have
# moved), "level" or "slow" (a level that is read once a second). Prints what differs and one line of summary; fails on a difference.
compare() {
	sleep 0.3 # the tick after the last reading is in the log
	read -r a0 a1 <"$work/when.a"
	read -r b0 b1 <"$work/when.b"
	while read -r name metric instance factor quantum kind; do
		case $kind in
		level | slow)
			around=0.15
			[ "$kind" = level ] || around=1.2
			first=$(ask "$metric" "$instance" "$(add "$a0" -$around)" "$(add "$a1" $around)")
			second=$(ask "$metric" "$instance" "$(add "$b0" -$around)" "$(add "$b1" $around)")
			;;
		*)
			first=$(ask "$metric" "$instance" "$a1" "$b0")
			second=$(ask "$metric" "$instance" "$(add "$a0" -0.15)" "$(add "$b1" 0.15)")
			;;
		esac
		echo "$name $factor $quantum $kind $first $second"
	done | awk -v w="$work" '
		function tool(file, into,    f, line) {
			while ((getline line < file) > 0) {
				split(line, f, " ")
				into[f[1]] = f[2]
			}
		}
		function abs(x) { return x < 0 ? -x : x }
		function check(name, got, lo, hi, quantum,    tol) {
			tol = abs(got) / 100
			if (tol < quantum) tol = quantum
			n++
			if (got < lo - tol || got > hi + tol) {
				printf "%s: the tool says %.2f, strobe %.2f to %.2f\n", name, got, lo, hi
				bad++
			} else if (got != 0 && (hi - lo) / abs(got) > widest) {
				widest = (hi - lo) / abs(got)
				widest_name = name
			}
		}
		BEGIN { tool(w "/tool.a", ta); tool(w "/tool.b", tb) }
		!($1 in ta) || !($1 in tb) { print $1 ": the tool did not say it"; bad++; next }
		NF < 12 { print $1 ": strobe has no such figure"; bad++; next }
		$4 == "level" || $4 == "slow" {
			check($1 " before", ta[$1], $6 * $2, $7 * $2, $3)
			check($1 " after", tb[$1], $10 * $2, $11 * $2, $3)
			next
		}
		$4 == "moved" && tb[$1] <= ta[$1] { print $1 ": the load did not move it"; bad++ }
		{ check($1, tb[$1] - ta[$1], ($8 - $5) * $2, ($12 - $9) * $2, $3) }
		END {
			printf "%d figures, %d differ; widest bounds %.1f %% (%s)\n", n, bad, widest * 100, widest_name
			exit bad > 0 || n == 0
		}
	'
}
