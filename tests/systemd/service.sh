# The services of services.sh: service.sh COMMAND FILE, where FILE is what it says.
ready() { systemd-notify --ready; }
says() { printf '%s ' "$1" >>"$file"; }
file=$2
case $1 in
sleeps) ready && exec sleep 1000 ;;
graceful)
	trap 'exit 3' TERM
	ready
	while :; do sleep 1000 & wait; done
	;;
deaf)
	trap '' TERM
	ready
	while :; do sleep 1000; done
	;;
reloads)
	trap 'says HUP' HUP
	trap 'says USR1' USR1
	ready
	while :; do (trap '' HUP USR1; exec sleep 1000) & wait; done
	;;
exits-*) ready && exit "${1#exits-}" ;;
dies) ready && kill -KILL $$ ;;
no-such-program) exec /no/such/program ;;
never-ready) exec sleep 1000 ;;
leaves)
	setsid sleep 1000 &
	ready
	exit 0
	;;
esac
