package bench

import (
	"testing"
	"time"
)

func TestMedianAndLeast(t *testing.T) {
	for _, tt := range []struct {
		name          string
		values        []float64
		median, least float64
	}{
		{"nothing", nil, 0, 0},
		{"one", []float64{7}, 7, 7},
		{"odd, unsorted, with an outlier", []float64{3, 1000, 1}, 3, 1},
		{"even", []float64{4, 1, 2, 100}, 3, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := median(tt.values); got != tt.median {
				t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.median)
			}
			if got := least(tt.values); got != tt.least {
				t.Errorf("least(%v) = %v, want %v", tt.values, got, tt.least)
			}
		})
	}
}

func TestMedianLeavesItsArgumentAlone(t *testing.T) {
	values := []float64{3, 1, 2}
	median(values)
	if values[0] != 3 || values[1] != 1 || values[2] != 2 {
		t.Errorf("median sorted its argument: %v", values)
	}
}

// A machine that gets slower from sample to sample must not favour either side.
func TestABBACancelsDrift(t *testing.T) {
	var samples [4]sample
	for i := range samples {
		samples[i] = sample{wall: time.Duration(10+i) * time.Millisecond}
	}
	r := abba(samples, sample.cost)
	if r.base != [2]float64{10, 13} || r.subject != [2]float64{11, 12} {
		t.Fatalf("abba of 10, 11, 12, 13 ms = %+v: first and last belong to the base", r)
	}
	if got := r.ratio(); got != 1 {
		t.Errorf("ratio under even drift = %v, want 1", got)
	}
	if got := r.difference(); got != 0 {
		t.Errorf("difference under even drift = %v, want 0", got)
	}
}

func TestSeriesPairsByRound(t *testing.T) {
	// The second round ran on a machine ten times slower: within each round the subject
	// takes twice as long, which a ratio of medians would not say.
	s := series{
		{base: [2]float64{1, 1}, subject: [2]float64{2, 2}},
		{base: [2]float64{10, 10}, subject: [2]float64{20, 20}},
		{base: [2]float64{1, 1}, subject: [2]float64{2, 2}},
	}
	if got := s.medianOf(round.ratio); got != 2 {
		t.Errorf("median ratio = %v, want 2", got)
	}
	if got := len(s.subjects()); got != 6 {
		t.Errorf("%d subject samples, want 6", got)
	}
}
