package front

import "testing"

// TestSignals: COMMAND gets what was sent to it, once.
func TestSignals(t *testing.T) {
	compare(t, []row{
		{name: "a whole control group", script: `
			for sig in TERM HUP INT QUIT USR1 34; do
				$PLAY everybody $sig $RUN $PLAY count $DIR/$sig >$DIR/$sig.end &
			done
			wait; cd $DIR; head *`},
		{name: "the main process alone", script: `
			for sig in TERM HUP INT QUIT USR1 34; do
				$PLAY mainalone $sig $RUN $PLAY count $DIR/$sig >$DIR/$sig.end &
			done
			wait; cd $DIR; head *`},
		{name: "a whole control group, and no handler", script: `
			for sig in TERM HUP INT QUIT USR1 34; do $PLAY everybody $sig $RUN $PLAY pause 5000; done`},
		{name: "values at the limit", script: `
			$PLAY flood 3000 $RUN $PLAY values $DIR/count; cat $DIR/count`},
		{name: "SIGSTOP and SIGCONT", script: `
			$PLAY stopped $RUN $PLAY beat`},
	})
}
