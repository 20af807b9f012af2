package shim_test

import (
	"reflect"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// TestCallCarriesData: what is to be done when a call has ended is the Verdict's, so that it ends in
// one place and a call that is kept, or tried again, keeps nothing of it.
func TestCallCarriesData(t *testing.T) {
	var look func(what reflect.Type)
	look = func(what reflect.Type) {
		for i := range what.NumField() {
			switch f := what.Field(i); f.Type.Kind() {
			case reflect.Func, reflect.Chan:
				t.Errorf("%s.%s is a %s", what, f.Name, f.Type)
			case reflect.Struct:
				look(f.Type)
			}
		}
	}
	look(reflect.TypeFor[shim.Call]())
}

// TestEveryEndReleases: whom the handler has held is let go however the call ends, and once.
func TestEveryEndReleases(t *testing.T) {
	let := make(chan uint64, 8)
	r := serve(t, func(c *shim.Call) shim.Verdict {
		v := byID(c)
		switch {
		case c.ID == 2:
			v = shim.Gone()
		case c.ID == 3 && !c.Slow:
			v = shim.Later()
		case c.ID == 4:
			v = shim.Verdict{} // which nobody can answer with
		}
		id := c.ID
		v.Release = release(func(*shim.Worker) { let <- id })
		return v
	})
	count := map[uint64]int{}
	for id := range uint64(5) {
		r.call(id)
	}
	for range 6 {
		count[receive(t, "a release", let)]++
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	for id := range uint64(5) {
		want := 1
		if id == 3 {
			want = 2 // put off, and answered
		}
		if count[id] != want {
			t.Errorf("call %d was released %d times, want %d", id, count[id], want)
		}
	}
}
