package helper

import "sync"

// Pool shares things of one kind among many users, each of which has one for as long as
// a conversation with it lasts. It makes at most Limit and keeps those that it made.
type Pool[T any] struct {
	New   func() T
	Limit int

	mu    sync.Mutex // guards below
	idle  []T
	made  int
	freed *sync.Cond
}

// Take waits for a free one where Limit are in use.
func (p *Pool[T]) Take() T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.freed == nil {
		p.freed = sync.NewCond(&p.mu)
	}
	for len(p.idle) == 0 && p.made >= p.Limit {
		p.freed.Wait()
	}
	if len(p.idle) == 0 {
		p.made++
		return p.New()
	}
	last := len(p.idle) - 1
	t := p.idle[last]
	p.idle = p.idle[:last]
	return t
}

// Put gives back what Take gave.
func (p *Pool[T]) Put(t T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, t)
	p.freed.Signal()
}

// Lose says that one that was taken does not come back, or not for long: another may be
// made in its place.
func (p *Pool[T]) Lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made--
	p.freed.Signal()
}
