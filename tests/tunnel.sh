#!/bin/sh
# The ad-hoc session: an agent reached through a real SSH tunnel on another port, by API and by verb.
: "${STROBE:?}"
sshd=$(command -v sshd || echo /usr/sbin/sshd)
if ! [ -x "$sshd" ] || ! command -v ssh >/dev/null; then
	echo "needs openssh-server and openssh-client"
	exit 77
fi
dir=$(mktemp -d)
pids=
passed=0 failed=0
finish() {
	for p in $pids; do kill "$p" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM
check() { # NAME CMD...
	name=$1
	shift
	if "$@"; then
		echo "ok      $name"
		passed=$((passed + 1))
	else
		echo "FAILED  $name"
		failed=$((failed + 1))
	fi
}
wait_for() { # CMD...: up to 10 s
	n=0
	until "$@"; do
		n=$((n + 1))
		[ $n -lt 100 ] || return 1
		sleep 0.1
	done
}
free_port() {
	node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}

"$STROBE" run --listen 127.0.0.1:0 --runtime-dir "$dir/run" --collectors cpu,memory >"$dir/out" 2>"$dir/err" &
pids="$pids $!"
wait_for grep -q listening "$dir/out" || { cat "$dir/err"; exit 1; }
url=$(sed -n 's/^strobe: listening on //p' "$dir/out")
token=${url##*token=} port=${url%%/#*} port=${port##*:}

ssh-keygen -q -t ed25519 -N '' -f "$dir/host" && ssh-keygen -q -t ed25519 -N '' -f "$dir/key" || exit 1
chmod 700 "$dir"
cp "$dir/key.pub" "$dir/authorized"
sshport=$(free_port)
[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
cat >"$dir/sshd_config" <<CONF
ListenAddress 127.0.0.1
Port $sshport
HostKey $dir/host
AuthorizedKeysFile $dir/authorized
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
CONF
"$sshd" -D -e -f "$dir/sshd_config" 2>"$dir/sshd.err" &
pids="$pids $!"
local=$(free_port)
wait_for sh -c "ssh-keyscan -p $sshport 127.0.0.1 >'$dir/known' 2>/dev/null && [ -s '$dir/known' ]" || { cat "$dir/sshd.err"; exit 77; }
ssh -N -F none -o BatchMode=yes -o UserKnownHostsFile="$dir/known" -o ExitOnForwardFailure=yes -i "$dir/key" \
	-p "$sshport" -L "127.0.0.1:$local:127.0.0.1:$port" "$(id -un)@127.0.0.1" 2>"$dir/ssh.err" &
pids="$pids $!"
if ! wait_for curl -sf -o /dev/null "http://127.0.0.1:$local/healthz"; then
	cat "$dir/ssh.err" "$dir/sshd.err"
	echo "this host lets no SSH session in"
	exit 77
fi
code() { # HOST ARGS...
	host=$1
	shift
	curl -s -o /dev/null -w '%{http_code}' "$@" "http://$host:$local/api/v1/status"
}
check "the page comes through the tunnel" curl -sf -o "$dir/page" "http://127.0.0.1:$local/"
check "with the token: 200 by address" test "$(code 127.0.0.1 -H "Authorization: Bearer $token")" = 200
check "with the token: 200 by name" test "$(code localhost -H "Authorization: Bearer $token")" = 200
check "without the token: 401" test "$(code 127.0.0.1)" = 401
check "with a foreign Host: refused" test "$(code 127.0.0.1 -H "Authorization: Bearer $token" -H 'Host: evil.example')" = 403
check "strobe get --url through the tunnel" sh -c \
	"'$STROBE' get mem.util.free --url 'http://127.0.0.1:$local/#token=$token' | grep -q mem.util.free"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
