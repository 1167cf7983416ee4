package cluster

// Session is the state of a client that went away and may return: what Node's
// adapters keep of it.
type Session struct {
	SID   string   // the socket's public id
	PID   string   // its secret one, by which it is found
	Rooms []string // with that of its own id, while it is in it
	Data  []byte   // JSON of what the application attached
}
