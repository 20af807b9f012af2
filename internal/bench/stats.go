package bench

import "slices"

// round is one ABBA quadruple: the base, the subject twice, the base again, so that
// a drift of the machine falls on both alike.
type round struct {
	base, subject [2]float64
}

func (r round) ratio() float64 {
	return (r.subject[0] + r.subject[1]) / (r.base[0] + r.base[1])
}

func (r round) difference() float64 {
	return (r.subject[0] + r.subject[1] - r.base[0] - r.base[1]) / 2
}

// series is the rounds of one comparison.
type series []round

func (s series) medianOf(f func(round) float64) float64 {
	values := make([]float64, len(s))
	for i, r := range s {
		values[i] = f(r)
	}
	return median(values)
}

func (s series) bases() []float64 { return s.collect(func(r round) [2]float64 { return r.base }) }

func (s series) subjects() []float64 { return s.collect(func(r round) [2]float64 { return r.subject }) }

func (s series) collect(f func(round) [2]float64) []float64 {
	var values []float64
	for _, r := range s {
		pair := f(r)
		values = append(values, pair[:]...)
	}
	return values
}

// median is 0 of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// least is 0 of nothing.
func least(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Min(values)
}
