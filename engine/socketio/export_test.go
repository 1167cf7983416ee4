package socketio

// Waiting is how many clients have a deadline. Not on a loop.
func (srv *Server) Waiting() int {
	total := make(chan int)
	n := 0
	for _, l := range srv.loops() {
		l.Post(func() { total <- srv.desk(l).connects.length() + srv.desk(l).attachments.length() })
		n += <-total
	}
	return n
}

func (w *waiting) length() (n int) {
	for d := w.first; d != nil; d = d.next {
		n++
	}
	return n
}

// Kept is how many events and sessions a namespace keeps in its own memory.
func (srv *Server) Kept(namespace string) int {
	l := srv.Of(namespace).store.(*localStore)
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.log) + len(l.leaving) + len(l.sessions)
}

// MaxTail is how many events of a log a namespace remembers.
const MaxTail = maxTail

// Posted is how many events of a log a namespace has sent.
func (srv *Server) Posted(namespace string) uint64 {
	l := srv.Of(namespace).store.(*logStore)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.posted
}

// Asking is how many functions run for clients and handlers.
func (srv *Server) Asking() int64 { return srv.workers.active.Load() }

// MaxBacklog is how many bytes may wait for a loop.
const MaxBacklog = maxBacklog

// BacklogWaiters is how many callers wait for room on a loop.
func (srv *Server) BacklogWaiters() (n int) {
	for _, ln := range srv.lanes() {
		n += int(ln.backlog.waiters.Load())
	}
	return n
}

// Backlog is how many bytes wait for loops, or for the log before that.
func (srv *Server) Backlog() (n int64) {
	for _, ln := range srv.lanes() {
		n += ln.backlog.bytes.Load() + ln.backlog.held.Load()
	}
	return n
}
