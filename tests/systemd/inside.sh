#!/bin/bash
# Runs our service under systemd, in the machine that TestSystemd boots, with the package
# installed as a user would, and containers of runc and crun under load while it is
# restarted, killed, stopped dead and upgraded. It decides nothing: what it sees goes down
# the second serial port, a section for each thing, and tests/systemd_test.go judges.
unit=pidfd-shim.service
group=/sys/fs/cgroup/system.slice/$unit
events=0
dropin=/run/systemd/system/$unit.d/mode.conf
export PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_COLORS=0

stty -F /dev/ttyS1 raw -echo
exec 3>&1 >/dev/ttyS1 2>&1 </dev/null

section() { echo "=== $*" && echo "inside: $*" >&3; }

# journal NAME: what was logged since the last one.
journal() {
	journalctl --sync
	section journal $1
	journalctl --no-pager --cursor-file=/run/cursor -u $unit -o json --output-fields=PRIORITY,SYSLOG_IDENTIFIER,MESSAGE
}

finish() {
	journal rest
	section end
	sync
	exec 1>&- 2>&- # returns when all has been sent
	systemctl poweroff --force --force
}

# until_true WORDS...: runs a command until it succeeds.
until_true() {
	local end=$((SECONDS + 300))
	until "$@"; do
		if [ $SECONDS -gt $end ]; then
			section "failed: $*"
			systemctl status --no-pager -l $unit pidfd-shim.socket
			pidfd-shim ps
			ps -eo pid,ppid,stat,wchan:20,args --forest
			finish
			exit 1
		fi
	done
}

over() { [ -z "$(jobs -r)" ]; }

state() { systemctl show $unit -p "$1" --value; }

show() {
	section "$@"
	systemctl show $unit -p Type,ActiveState,SubState,Result,NRestarts,NFileDescriptorStore
}

# serve_as MODE: auto is the unit as it was installed.
serve_as() {
	rm -f $dropin
	if [ "$1" != auto ]; then
		mkdir -p ${dropin%/*}
		printf '[Service]\nExecStart=\n%s --mode %s\n' "$(grep ^ExecStart= /lib/systemd/system/$unit)" "$1" >$dropin
	fi
	systemctl daemon-reload
	systemctl restart $unit
}

# bundle NAME PROFILE PROGRAM ARG...: a container's; PROFILE is a file of /test.
bundle() {
	local name=$1 profile=$2 words
	shift 2
	mkdir -p $name/rootfs/{proc,dev,tmp}
	cp truth-m64 truth-m32 container-load $name/rootfs
	words=$(printf '"%s",' "$@")
	sed "s|\"@ARGS@\"|${words%,}|" $profile >$name/config.json
}

# rows RUNTIME WIDTH PROFILE: a part of the truth suite in a container.
rows() {
	bundle rows $3 /truth-$2 --only fds/ --every 3
	$1 run --bundle rows rows
}

# load RUNTIME ID [PROFILE]: a container whose callers call until SIGUSR1.
load() {
	bundle $2 ${3:-under.json} /container-load --queue 4 -1
	$1 run --bundle $2 $2 >$2.out 2>&1 &
}

# called tells whether this agent has answered a call of each container.
called() {
	pidfd-shim ps 2>/dev/null | awk '$1 ~ /^load-/ && $5 > 0 { all++ } END { exit all != 2 }'
}

other_pid() { local now=$(state MainPID); [ "$now" != 0 ] && [ "$now" != "$1" ]; }

# happens WHAT COMMAND...: does that to the agent under load, and waits until the calls go on.
happens() {
	local what=$1
	shift
	"$@" || section "failed: $*"
	until_true called
	show event $mode $((++events)) $what
}

crash() {
	local pid=$(state MainPID)
	kill -KILL $pid
	until_true other_pid $pid
}

# crashes kills agents, and what they have started, before they are ready.
crashes() {
	local all last='' end=$((SECONDS + 120))
	for _ in {1..8}; do
		until all=$(<$group/cgroup.procs) && [ -n "$all" ] && [ "$all" != "$last" ]; do
			[ $SECONDS -lt $end ] || return 1
		done 2>/dev/null
		kill -KILL $all
		last=$all
	done
}

hang() {
	local pid=$(state MainPID)
	kill -STOP $pid
	until_true other_pid $pid
}

# doctor asks what the kernel has, outside and as confined as the service is.
doctor() {
	section doctor outside
	pidfd-shim doctor --json
	mkdir -p ${dropin%/*}
	printf '[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart=/usr/bin/pidfd-shim doctor --json\nStandardOutput=file:/run/doctor\n' >$dropin
	systemctl daemon-reload
	systemctl restart $unit
	section doctor service
	cat /run/doctor
	rm $dropin
	systemctl daemon-reload
}

begin_loads() {
	load runc load-a
	load crun load-b
	until_true called
}

# end_loads NAME: what the calls came to.
end_loads() {
	runc kill load-a USR1
	crun kill load-b USR1
	until_true over
	section loads $1
	cat load-a.out load-b.out
}

# under_load MODE KIND...: two containers that call, and what happens to the agent meanwhile.
under_load() {
	mode=$1
	shift
	journal before-$mode
	serve_as $mode
	begin_loads
	show event $mode begin
	for kind in "$@"; do
		case $kind in
		restart) happens restart systemctl restart $unit ;;
		reload) happens reload systemctl reload $unit ;;
		crash) happens crash crash ;;
		crashes) happens crashes crashes ;;
		hang) happens hang hang ;;
		upgrade) happens upgrade dpkg -i pidfd-shim.deb ;;
		esac
	done
	end_loads $mode
	show event $mode end
	journal $mode
}

# bad_policy: one file is no policy; its container is denied, and nobody else feels it while the
# agent is restarted, crashes again and again and is upgraded. A reload is refused.
bad_policy() {
	mode=bad
	journal before-bad
	printf 'version: 1\nsyscalls: all\nrules:\n  - {name: no-init, action: deny, match: {target: {relation: [init]}}}\n' >/etc/pidfd-shim/policies/good.yaml
	printf 'version: 1\nrules: [\n' >/etc/pidfd-shim/policies/bad.yaml
	serve_as auto
	load runc load-a good.json
	load crun load-b good.json
	load runc other bad.json
	until_true called
	section reload
	systemctl reload $unit
	echo "status $?"
	happens restart systemctl restart $unit
	for _ in {1..6}; do
		happens crash crash
	done
	happens upgrade dpkg -i pidfd-shim.deb
	section containers
	pidfd-shim ps
	runc kill other USR1
	end_loads bad
	section loads other
	cat other.out
	journal bad
	rm /etc/pidfd-shim/policies/*.yaml
}

# crash_for_good crashes the agent until systemd has had enough of it.
crash_for_good() {
	{ kill -KILL $(<$group/cgroup.procs); } 2>/dev/null
	[ "$(state ActiveState)" = failed ]
}

# given_up: as many crashes as the unit endures take long, so it endures fewer here.
given_up() {
	serve_as auto
	begin_loads
	mkdir -p ${dropin%/*}
	printf '[Unit]\nStartLimitBurst=3\n' >$dropin
	systemctl daemon-reload
	until_true crash_for_good
	end_loads given-up
	show given-up
	rm $dropin
	systemctl daemon-reload
	systemctl start pidfd-shim.socket $unit
	show recovered
}

section machine
systemd-detect-virt

section install
dpkg -i pidfd-shim.deb
systemctl is-enabled pidfd-shim.socket $unit

section activation
systemctl start pidfd-shim.socket
systemctl is-active $unit
bundle first under.json /truth-m64 --row fds/fd=pidfd/sig=SIGUSR1/flags=0/info=NULL/recv=sigwait
runc run --bundle first first
systemctl is-active $unit
show active

doctor
for width in m64 m32; do
	section rows native $width
	rows runc $width plain.json
done
for mode in auto forward caller emulate; do
	serve_as $mode
	for width in m64 m32; do
		section rows $mode $width
		rows runc $width under.json
	done
done

under_load auto restart crash reload restart crash crashes upgrade hang
for mode in forward caller emulate; do
	under_load $mode restart crash
done

bad_policy
given_up

section security
systemd-analyze --no-pager security $unit | tail -n 1

section remove
dpkg -r pidfd-shim
systemctl is-active $unit pidfd-shim.socket
finish
