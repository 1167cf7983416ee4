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
		s.do(&t)
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
		go s.work()
	}
}

// work does tasks until there is none.
func (s *Socket) work() {
	done := 0
	for {
		s.mu.Lock()
		s.pending -= done
		batch := s.queue
		s.queue = nil
		s.working = len(batch) > 0
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		done = 0
		for i := range batch {
			s.do(&batch[i])
			done += batch[i].size
			batch[i] = task{}
		}
	}
}

// do does a task. If it panics, the socket ends, and nothing else.
func (s *Socket) do(t *task) {
	defer func() {
		if v := recover(); v != nil {
			s.nsp.server.panicked("a handler", v)
			s.Disconnect(false)
		}
	}()
	if t.event != nil {
		s.dispatch(t.event)
		return
	}
	t.run()
}

// panicked counts and logs the panic of a user's function.
func (srv *Server) panicked(what string, v any) {
	srv.panics.Add(1)
	srv.opts.Logger.Error(what+" panicked", "panic", v)
}
