package deflate

// Stream compresses the messages of one connection, each with the context of
// those before (context takeover). It keeps their last 4 KiB and borrows
// everything else from its loop's Compressor. One goroutine at a time.
type Stream struct {
	c          *Compressor
	windowBits int
	history    []byte
}

// NewStream returns a Stream whose distances stay within 2^windowBits bytes
// (8..15). It works with the tables of c, the Compressor of the connection's
// loop, and must be used on that loop only.
func NewStream(c *Compressor, windowBits int) *Stream {
	return &Stream{c: c, windowBits: windowBits}
}

// Append compresses msg behind dst, as Compressor.Append does. If ok is false
// the message must be sent uncompressed and has left no trace in the context.
// A result with ok true has to be sent, and in order: the peer's context
// depends on it.
func (s *Stream) Append(dst, msg []byte) (out []byte, ok bool) {
	if out, ok = s.c.append(dst, s.history, msg, s.windowBits); ok {
		s.history = keepLast(s.history, msg, min(maxHistory, 1<<s.windowBits))
	}
	return out, ok
}

// Forget gives up the context and its memory: the next message is compressed without
// one. The peer need not be told, because no message has to refer to what was before.
func (s *Stream) Forget() { s.history = nil }

// keepLast appends p to history and drops all but the last size bytes.
func keepLast(history, p []byte, size int) []byte {
	p = p[max(0, len(p)-size):]
	if over := len(history) + len(p) - size; over > 0 {
		history = history[:copy(history, history[over:])]
	}
	if need := len(history) + len(p); need > cap(history) {
		history = append(make([]byte, 0, min(size, 2*need)), history...)
	}
	return append(history, p...)
}
