package pubsub

// Parsed is a request that the parser has read.
type Parsed struct {
	OK                   bool
	Op, ID, Topic, Token string
	Data, Bytes          []byte
}

// Parse reads a request.
func Parse(b []byte) Parsed {
	var p parser
	var r request
	_, ok := p.parse(&r, b)
	return Parsed{ok, r.op, string(r.id), string(r.topic), string(r.token), r.data, r.bytes}
}

// SetQueue makes a loop's queue so many bytes long. Call before there are clients.
func (s *Server) SetQueue(n int) { s.maxShard = n }
