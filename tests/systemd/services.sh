#!/bin/bash
# Runs services under systemd in the machine that TestSystemdServices boots: each with nothing
# in front of its command, and with `run` there. What systemctl show then says goes
# down the second serial port, a section for each state, and tests/systemd_services_test.go
# compares.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_COLORS=0

stty -F /dev/ttyS1 raw -echo
exec 3>&1 >/dev/ttyS1 2>&1 </dev/null

section() { echo "=== $*" && echo "services: $*" >&3; }

finish() {
	section end
	sync
	exec 1>&- 2>&- # returns when all has been sent
	systemctl poweroff --force --force
}

# until_true WORDS...: runs a command until it succeeds.
until_true() {
	local end=$((SECONDS + 60))
	until "$@"; do
		if [ $SECONDS -gt $end ]; then
			section "failed: $*"
			systemctl status --no-pager -l "$unit"
			return 1
		fi
	done
}

declare -A ways=(
	[native]=''
	[notify]='/test/pidfd-shim run --backend notify --'
	[ptrace-protect]='/test/pidfd-shim run --backend ptrace --protect-supervisor --'
)

# unit COMMAND [LINE...]: writes the unit of this scenario and way. It stays known to systemd when
# it has ended, because a target names it.
unit() {
	local command=$1
	shift
	{
		printf '[Service]\nType=notify\nNotifyAccess=all\nLimitCORE=0\n'
		printf '%s\n' "$@"
		printf 'ExecStart=%s /bin/bash /test/service.sh %s /run/%s\n' "${ways[$way]}" "$command" $name-$way
	} >$units/$name-$way.service
	printf 'After=%s\n' $name-$way.service >>$units/keep.target
}

# show STEP: what systemd knows of it now.
show() {
	section "$name: $1: $way"
	systemctl show $unit -p Result,ExecMainCode,ExecMainStatus,ActiveState,SubState
	echo "Said=$(cat $said 2>/dev/null)"
}

over() { case $(systemctl show $unit -p ActiveState --value) in inactive | failed) ;; *) false ;; esac }

said() { [ "$(cat $said 2>/dev/null)" = "$1" ]; }

# scenario NAME COMMAND [LINE...]: what is to happen is read from stdin, and does in each way
# when all units are there.
scenario() {
	name=$1
	shift
	names+=($name)
	happens[$name]=$(cat)
	for way in "${!ways[@]}"; do
		unit "$@"
	done
}

units=/run/systemd/system
printf '[Unit]\n' >$units/keep.target
names=()
declare -A happens

scenario stop sleeps <<'S'
show started
systemctl stop $unit
show stopped
S
scenario stop-gracefully graceful <<'S'
systemctl stop $unit
show stopped
S
scenario stop-deaf deaf TimeoutStopSec=1 <<'S'
systemctl stop $unit
show stopped
S
scenario reload reloads 'ExecReload=/bin/kill -HUP $MAINPID' <<'S'
systemctl reload $unit
until_true said "HUP "
show reloaded
systemctl kill -s USR1 $unit
until_true said "HUP USR1 "
show signalled
systemctl kill -s USR1 --kill-whom=main $unit
until_true said "HUP USR1 USR1 "
show "its main process alone"
S
for signal in KILL ABRT; do
	scenario kill-$signal sleeps <<S
systemctl kill -s $signal \$unit
until_true over
show killed
S
done
scenario kill-main-TERM sleeps <<'S'
systemctl kill -s TERM --kill-whom=main $unit
until_true over
show killed
S
scenario succeed exits-0 <<'S'
until_true over
show ended
S
scenario fail exits-7 <<'S'
until_true over
show ended
S
scenario die dies <<'S'
until_true over
show ended
S
scenario no-program no-such-program 'ExecStartPre=/bin/true' <<'S'
until_true over
show ended
S
scenario run-too-long sleeps RuntimeMaxSec=1 <<'S'
until_true over
show ended
S
scenario watchdog sleeps WatchdogSec=1 <<'S'
until_true over
show ended
S
scenario not-ready never-ready TimeoutStartSec=1 <<'S'
until_true over
show ended
S
scenario leave-behind leaves KillMode=mixed <<'S'
until_true over
show ended
S

systemctl daemon-reload
systemctl start keep.target
for name in "${names[@]}"; do
	for way in "${!ways[@]}"; do
		unit=$name-$way.service said=/run/$name-$way
		systemctl start $unit 2>/dev/null # what does not start is a state, too
		eval "${happens[$name]}"
		systemctl stop $unit
	done
done
finish
