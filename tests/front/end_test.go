package front

import "testing"

// TestEnd: how COMMAND ended is how the front ends, and when it has nothing is left to wait
// for.
func TestEnd(t *testing.T) {
	compare(t, []row{
		{name: "each signal, as a parent sees it", script: `
			for sig in HUP INT QUIT ABRT KILL SEGV PIPE ALRM TERM USR1 USR2 BUS FPE SYS XCPU 34 50 64; do
				$PLAY status $RUN sh -c "ulimit -c 0; kill -$sig \$\$"
			done
			$PLAY status $RUN sh -c 'exit 7'`},
		{name: "a loop in a shell ends on ^C", script: `
			$PLAY status sh -c 'i=0; while [ $i -lt 5 ]; do echo turn; '"$RUN"' sh -c "kill -INT \$\$"; i=$((i + 1)); done'`},
		{name: "xargs gives up", script: `
			echo a b c | xargs -n 1 $RUN sh -c 'kill -TERM $$' 2>&1 | sed 's|: .*: |: |'; echo ${PIPESTATUS[1]}`},
		{name: "no core of ours", script: `
			cd $DIR; ulimit -c 0; $PLAY status $RUN sh -c 'kill -SEGV $$'; ls`},
		{name: "stderr is given back at the end", script: `
			$PLAY within 3 bash -c 'x=$('"$RUN"' sh -c "sleep 20 >/dev/null 2>&1 & echo hi; echo \$! >$DIR/pid" 2>&1); echo $x'
			kill $(cat $DIR/pid) 2>/dev/null; true`},
	})
}

// TestAuditIsComplete: when the front has ended each call that COMMAND made is in the file,
// whoever is left behind.
func TestAuditIsComplete(t *testing.T) {
	compare(t, []row{{name: "with a process left behind", rounds: 5, script: `
		wrapper=${RUN% --}
		${RUN:+$wrapper --audit=$DIR/audit --} $PLAY calls 20 left
		if [ -n "$RUN" ]; then grep -c '"pidfd_send_signal"' $DIR/audit; else echo 20; fi`}})
}
