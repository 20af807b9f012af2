package front

import (
	"testing"

	"github.com/pidfd-shim/pidfd-shim/tests/pty"
)

// TestPrograms: what people put behind, or in front of, `run`.
func TestPrograms(t *testing.T) {
	compare(t, []row{
		{name: "tini", needs: "tini", slow: true, script: `
			$PLAY status $RUN tini -s -- sh -c 'sleep 0.01 & kill -TERM $$'
			$PLAY mainalone TERM $RUN tini -s -- $PLAY count $DIR/out 50
			$PLAY mainalone USR1 $RUN tini -s -g -- $PLAY count $DIR/out 50; cat $DIR/out
			$PLAY status tini -s -- $RUN sh -c 'kill -INT $$'
			$PLAY mainalone TERM tini -s -- $RUN $PLAY count $DIR/out 50; cat $DIR/out`},
		{name: "dumb-init", needs: "dumb-init", slow: true, script: `
			$PLAY status $RUN dumb-init sh -c 'kill -TERM $$'
			$PLAY mainalone TERM $RUN dumb-init $PLAY count $DIR/out 50; cat $DIR/out
			$PLAY mainalone USR1 $RUN dumb-init -c $PLAY count $DIR/out 50; cat $DIR/out
			$PLAY mainalone TERM dumb-init $RUN $PLAY count $DIR/out 50; cat $DIR/out`},
		{name: "an entry script", script: `
			cat > $DIR/exec <<-'END'
				set -e
				[ "$1" = count ] && set -- $PLAY "$@"
				exec "$@"
			END
			cat > $DIR/wait <<-'END'
				trap 'kill -TERM $child' TERM
				mkfifo $DIR/up
				$PLAY count "$1" 50 3>$DIR/up & child=$!
				read x <$DIR/up; rm $DIR/up; echo ready >&3
				wait $child; wait $child; echo waited $?
				exit 9
			END
			$PLAY mainalone TERM $RUN sh $DIR/exec count $DIR/out 50; cat $DIR/out
			$PLAY mainalone TERM $RUN sh $DIR/wait $DIR/out; cat $DIR/out`},
		{name: "runsv", needs: "runsv", slow: true, script: `
			mkdir $DIR/service; cd $DIR/service; mkfifo up done
			cat > run <<-'END'
				#!/bin/sh
				exec $RUN sh -c 'trap "exit 4" USR1; echo >up; while :; do sleep 0.02; done'
			END
			cat > finish <<-'END'
				#!/bin/sh
				echo $1 $2 >done
			END
			chmod +x run finish
			touch down; runsv . & until sv status . >/dev/null 2>&1; do sleep 0.02; done
			sv once . >/dev/null; read x <up
			sv 1 . >/dev/null; read how <done; echo $how
			sv exit . >/dev/null; wait`},
		{name: "xargs", script: `
			seq 6 | xargs -P 3 -n 1 $RUN sh -c 'echo $0' | sort
			$RUN xargs -n 1 sh -c 'exit $0' <<<1; echo $?
			$RUN xargs -n 1 sh -c 'kill -INT $$' <<<1 2>/dev/null; echo $?`},
		{name: "Python's subprocess", script: `
			cat > $DIR/it.py <<-'END'
				import os, signal, subprocess
				run = os.environ["RUN"].split()
				sh = lambda text: run + ["sh", "-c", text]
				print(subprocess.run(sh("kill -TERM $$")).returncode, subprocess.run(sh("exit 3")).returncode)
				for end in subprocess.Popen.terminate, subprocess.Popen.kill:
				    p = subprocess.Popen(sh("echo up; exec sleep 1000"), stdout=subprocess.PIPE, start_new_session=True)
				    p.stdout.read(3); end(p); print(p.wait())
				p = subprocess.Popen(sh("echo up; sleep 1000"), stdout=subprocess.PIPE, start_new_session=True)
				p.stdout.read(3); os.killpg(p.pid, signal.SIGTERM); print(p.communicate(), p.returncode)
				try: subprocess.run(sh("exec sleep 1000"), timeout=0.3, capture_output=True)
				except subprocess.TimeoutExpired: print("expired")
			END
			python3 $DIR/it.py`},
	})
}

// TestBubblewrap: outside of a sandbox, and inside. Its init asks for a signal at its parent's
// death after it has started the command, so that it can miss it, natively too: pauses are short.
func TestBubblewrap(t *testing.T) {
	compare(t, []row{
		{name: "around it", needs: "bwrap", script: `
			sandbox="bwrap --dev-bind / / --proc /proc --unshare-pid --die-with-parent --new-session"
			$PLAY status $RUN $sandbox sh -c 'sleep 1000 & exit 4'
			$PLAY mainalone TERM $RUN $sandbox $PLAY pause 2000
			$PLAY orphaned $RUN $sandbox $PLAY pause 2000`},
		{name: "inside", needs: "bwrap", plain: true, script: `
			sandbox="bwrap --dev-bind / / --proc /proc --unshare-pid --die-with-parent --new-session"
			$PLAY status $sandbox $RUN sh -c 'exit 3'
			$PLAY status $sandbox $RUN sh -c 'kill -TERM $$'
			$PLAY status $sandbox --as-pid-1 $RUN sh -c 'sleep 0.01 & exit 5'
			$PLAY status $sandbox $RUN $PLAY calls 20
			$PLAY status $sandbox $RUN $PLAY pdeathsig 9 $PLAY pause 20
			$PLAY mainalone 9 $sandbox $RUN $PLAY pause 2000
			$PLAY orphaned $sandbox $RUN $PLAY pause 2000`},
	})
}

// TestOnTerminal: programs that have a terminal, or many.
func TestOnTerminal(t *testing.T) {
	compareSessions(t, []session{
		{name: "make", script: `printf 'all: a b\na b:\n\t@$(PLAY) tell 2\n' >$DIR/makefile; exec $RUN make -s -j2 -C $DIR`, does: interruptMake},
		{name: "jobs of make", script: `printf 'all: a b\na b:\n\t@$(RUN) $(PLAY) tell 2\n' >$DIR/makefile; exec make -s -j2 -C $DIR`, does: interruptMake},
		{
			name: "less", needs: []string{"less"}, script: `seq 200 >$DIR/lines; $RUN less $DIR/lines; echo st""atus=$?`,
			does: func(term *terminal) string {
				term.Until("\n10\r\n")
				term.Type("G")
				term.Until("\n200\r\n")
				term.Type("q")
				return term.Line("status=") + term.end()
			},
		},
		{
			name: "vim", needs: []string{"vim"}, script: `exec $RUN vim -u NONE -N -n $DIR/text -c 'silent !echo u""p'`,
			does: func(term *terminal) string {
				term.Until("up")
				term.Type("ihello\x1b:w\r:!cat %; echo sh''ell\r")
				term.Until("hello\r\nshell")
				term.Type("\r:cq\r")
				return term.end()
			},
		},
		{
			name: "screen", needs: []string{"screen"}, script: `export SCREENDIR=$DIR; chmod 700 $DIR; exec $RUN screen -c /dev/null sh -c 'echo u""p; read x; echo g""ot=$x; read x; exit'`,
			does: func(term *terminal) string {
				term.Until("up")
				term.Type("line\n")
				said := term.Line("got=")
				term.Type("\n")
				term.Until("[screen is terminating]")
				return said + term.end()
			},
		},
		{
			name: "tmux", needs: []string{"tmux"}, script: `exec $RUN tmux -S $DIR/socket -f /dev/null new-session 'echo u""p; read x; echo g""ot; read x'`,
			does: func(term *terminal) string {
				term.Until("up")
				term.Type("line\n")
				term.Until("got")
				term.Type("\n")
				term.Until("[exited]")
				return term.end()
			},
		},
	})
}

// interruptMake: whether make sees its own SIGINT first or its jobs' is a race natively, and
// how it ends with it; but it does, and all of its jobs.
func interruptMake(term *terminal) string {
	term.Until("ready")
	term.Until("ready")
	term.Type(pty.CtrlC)
	_ = term.end()
	return term.hangUp()
}
