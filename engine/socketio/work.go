package socketio

import "github.com/fe4bcecb/wsd/engine/engineio"

// task is work for a socket's handlers: an event, or a function.
type task struct {
	event *Event
	run   func()
	size  int
}

// enqueue has a task done behind those before it: by a goroutine that exists
// while there are some, or at once under Options.Inline. size in bytes is what
// it holds. Call on the loop.
func (s *Socket) enqueue(size int, t task) {
	srv := s.nsp.server
	if srv.opts.Inline {
		s.enqueueInline(t)
		return
	}
	t.size = size + postCost
	s.mu.Lock()
	if s.pending+t.size > srv.opts.MaxPending && t.event != nil && s.pending > 0 {
		s.mu.Unlock()
		srv.pendingOverflows.Add(1)
		s.client.session.Close(engineio.ForcedClose)
		return
	}
	s.pending += t.size
	s.queue = append(s.queue, t)
	begin := !s.working
	s.working = true
	s.mu.Unlock()
	if begin {
		srv.workers.enter()
		go s.work()
	}
}

// enqueueInline does a task now, or, if it comes from a handler, behind that.
func (s *Socket) enqueueInline(t task) {
	if s.working {
		s.queue = append(s.queue, t)
		return
	}
	s.working = true
	s.do(&t)
	for len(s.queue) > 0 {
		t, s.queue = s.queue[0], s.queue[1:]
		s.do(&t)
	}
	s.queue = nil
	s.working = false
}

// work does tasks until there is none.
func (s *Socket) work() {
	var batch []task
	done, finished := 0, false
	defer func() {
		if finished {
			s.nsp.server.workers.leave()
			return
		}
		// A handler has ended the goroutine, by runtime.Goexit.
		s.mu.Lock()
		for _, t := range batch[:done] {
			s.pending -= t.size
		}
		s.queue = append(batch[done:], s.queue...)
		s.mu.Unlock()
		go s.work()
	}()
	for {
		s.mu.Lock()
		for _, t := range batch {
			s.pending -= t.size
		}
		batch = s.queue
		s.queue = nil
		s.working = len(batch) > 0
		s.mu.Unlock()
		if len(batch) == 0 {
			finished = true
			return
		}
		for done = 0; done < len(batch); {
			t := &batch[done]
			done++
			s.do(t)
			t.event, t.run = nil, nil
		}
	}
}

// do does a task. If it panics, the socket ends, and nothing else; events that
// wait are not handled then.
func (s *Socket) do(t *task) {
	switch e := t.event; {
	case e == nil:
		s.protect(t.run)
	case !s.failed:
		s.protect(func() { s.dispatch(e) })
	}
}

// protect calls a user's function, whose panic ends the socket.
func (s *Socket) protect(fn func()) {
	defer func() {
		if v := recover(); v != nil {
			s.failed = true
			s.nsp.server.panicked("a handler", v)
			s.Disconnect(false)
		}
	}()
	fn()
}

// panicked counts and logs the panic of a user's function.
func (srv *Server) panicked(what string, v any) {
	srv.panics.Add(1)
	srv.opts.Logger.Error(what+" panicked", "panic", v)
}
