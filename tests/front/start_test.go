package front

import "testing"

// TestStart: COMMAND starts as it would have.
func TestStart(t *testing.T) {
	compare(t, []row{
		{name: "a signal at the parent's death", rounds: 2, script: `
			$PLAY status $RUN $PLAY pdeathsig 9 $PLAY pause 60
			$PLAY status $RUN $PLAY pdeathsig 15 sh -c 'exit 3'`},
		{name: "the parent's death", script: `
			$PLAY orphaned $RUN $PLAY pdeathsig 15 $PLAY pause 20000
			$PLAY orphaned $RUN $PLAY pdeathsig 9 $PLAY pause 20000
			$PLAY orphaned $RUN $PLAY pause 200
			$PLAY orphaned $PLAY pdeathsig 12 $RUN $PLAY pause 20000`},
		{name: "setpriv --pdeathsig", needs: "setpriv", rounds: 2, script: `
			$PLAY status $RUN setpriv --pdeathsig KILL $PLAY pause 40`},
		{name: "bwrap --die-with-parent", needs: "bwrap", rounds: 2, script: `
			$PLAY status $RUN bwrap --dev-bind / / --die-with-parent $PLAY pause 40`},
		{name: "the parent stays the same", script: `
			$RUN bash -c 'before=$(cut -d" " -f4 /proc/$$/stat); '"$PLAY"' pause 30
			[ $(cut -d" " -f4 /proc/$$/stat) = $before ] && echo same'`},
		{name: "an entry script's children", script: `
			cat > $DIR/entry <<-'END'
				for i in 1 2 3 4 5; do sleep 0.01 & done
				exec $RUN $PLAY zombies 100
			END
			$PLAY reaper sh $DIR/entry`},
		{name: "orphans while COMMAND lives", script: `
			$PLAY reaper $RUN bash -c '(for i in 1 2 3 4 5; do sleep 0.01 & done); exec '"$PLAY"' zombies 100'`},
	})
}
