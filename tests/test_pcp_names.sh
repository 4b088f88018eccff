#!/bin/sh
# Every metric of the collectors against PCP's own description: name, unit, semantics, singular or with
# instances. What PCP does not have must stand in tests/fixtures/pcp_names_missing.txt with a reason,
# and nothing else may stand there. Where strobe differs on purpose, "NAME reason" stands in
# tests/fixtures/pcp_names_differ.txt.
set -eu
cd "$(dirname "$0")/.."
tool=${B:-build}/tests/tool_metrics
missing=tests/fixtures/pcp_names_missing.txt
differ=tests/fixtures/pcp_names_differ.txt
pmcd=/usr/lib/pcp/bin/pmcd

if [ ! -x "$pmcd" ] || ! command -v pminfo >/dev/null; then
	echo "skipped: pcp is not installed (apt-get install pcp)"
	exit 77
fi
[ -x "$tool" ] || { echo "no $tool: make $tool" >&2; exit 1; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/strobe-pcp-XXXXXX")
pid=
finish() {
	if [ -n "$pid" ]; then
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	fi
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

# A pmcd of our own, on a unix socket in a folder of its own: nothing on the host is touched.
mkdir "$dir/tmp" "$dir/run"
sed -e "s#^PCP_TMP_DIR=.*#PCP_TMP_DIR=$dir/tmp#" -e "s#^PCP_RUN_DIR=.*#PCP_RUN_DIR=$dir/run#" \
	/etc/pcp.conf >"$dir/pcp.conf"
export PCP_CONF="$dir/pcp.conf" PMCD_LOCAL=1
(cd /usr/lib/pcp/pmns && /usr/lib/pcp/bin/pmnsmerge root_root root_linux root_proc "$dir/pmns") >"$dir/merge.log" 2>&1 || {
	cat "$dir/merge.log" >&2
	exit 1
}
cat >"$dir/pmcd.conf" <<EOF
proc	3	pipe	binary	/var/lib/pcp/pmdas/proc/pmdaproc -d 3
linux	60	pipe	binary	/var/lib/pcp/pmdas/linux/pmdalinux
EOF
# pmcd and its agents write logs where they are started.
cd "$dir"
"$pmcd" -f -A -c "$dir/pmcd.conf" -n "$dir/pmns" -p 0 -s "$dir/socket" -l "$dir/pmcd.log" &
pid=$!
cd "$OLDPWD"
/usr/lib/pcp/bin/pmcd_wait -h "local:$dir/socket" -t 30sec || {
	cat "$dir/pmcd.log" >&2
	exit 1
}

"$tool" | sort >"$dir/ours"
[ -s "$dir/ours" ] || { echo "no metrics in $tool" >&2; exit 1; }
# One name a call would cost a connection each; an unknown name is left out of the answer.
cut -f 1 "$dir/ours" | xargs pminfo -h "local:$dir/socket" -d >"$dir/theirs" 2>/dev/null || :

awk -F '\t' -v missing="$missing" -v differ="$differ" '
	function bad(text) { print text; n_bad++ }
	# the words of a description, as ours would be spelt
	function unit_ok(ours, theirs) {
		return ours == theirs || (theirs == "none" && (ours == "1" || ours == "%"))
	}
	function read_list(file, list,    line, w) {
		while ((getline line < file) > 0)
			if (line != "" && line !~ /^#/) {
				split(line, w, " ")
				if (line !~ / /) bad(file ": " w[1] " has no reason")
				if (w[1] in list) bad(file ": " w[1] " stands there twice")
				list[w[1]] = 1
			}
	}
	BEGIN {
		read_list(missing, allowed)
		read_list(differ, different)
	}
	FILENAME ~ /theirs$/ {
		if ($0 ~ /^[a-z][A-Za-z0-9_.]*$/) name = $0
		if ($0 ~ /Data Type:/) indom[name] = $0 ~ /PM_INDOM_NULL/ ? "singular" : "indom"
		if ($0 ~ /Semantics:/) {
			split($0, w, /Semantics: |  Units: /)
			sem[name] = w[2]
			unit[name] = w[3]
		}
		next
	}
	{
		n++
		if (!($1 in sem)) {
			family = $1
			sub(/\..*/, ".*", family)
			if ($1 in allowed) used[$1] = 1
			else if (family in allowed) used[family] = 1
			else bad($5 ": " $1 ": PCP has no such metric; see " missing)
			next
		}
		n_pcp++
		if ($1 in allowed) { used[$1] = 1; bad(missing ": " $1 " is a metric of PCP") }
		if ($1 in different) {
			if (sem[$1] == $3 && indom[$1] == $4 && unit_ok($2, unit[$1]))
				bad(differ ": " $1 " is as in PCP")
			met[$1] = 1
			next
		}
		if (sem[$1] != $3) bad($5 ": " $1 " is " $3 ", in PCP " sem[$1])
		if (indom[$1] != $4) bad($5 ": " $1 " is " $4 ", in PCP " indom[$1])
		if (!unit_ok($2, unit[$1])) bad($5 ": " $1 " is in " $2 ", in PCP in " unit[$1])
	}
	END {
		for (name in allowed)
			if (!(name in used)) bad(missing ": " name " is no metric of strobe")
		for (name in different)
			if (!(name in met)) bad(differ ": " name " is no metric of both")
		printf "%d metrics, %d as in PCP, %d listed as missing there, %d differences\n", \
			n, n_pcp, n - n_pcp, n_bad
		exit n_bad > 0 || n_pcp < 100
	}
' "$dir/theirs" "$dir/ours"
