package socketio

// Waiting is how many clients have a deadline. Not on a loop.
func (srv *Server) Waiting() int {
	total := make(chan int)
	n := 0
	for _, l := range srv.loops() {
		l.Post(func() { total <- len(srv.desk(l).connects.queue) + len(srv.desk(l).attachments.queue) })
		n += <-total
	}
	return n
}
