package engine

// Layered are messages of connections with Behavior.Layered. Their protocol server
// tells them apart, so that those of all others cost nothing more.
type Layered struct{ Text, Binary uint64 }

func (x *Layered) count(op OpCode) {
	x.Text += uint64(op & 1) // Text is 1, Binary 2
	x.Binary += uint64(op >> 1)
}

func (x *Layered) add(other Layered) {
	x.Text += other.Text
	x.Binary += other.Binary
}

// CountReceived counts a message that a Layered connection has received, in
// LoopStats.LayeredIn: its protocol server says so for each call of Message. Call on
// the socket's loop.
//
// Hot path: per message.
func (c *Conn) CountReceived(op OpCode) { c.loop.stats.LayeredIn.count(op) }

// CountSent likewise counts a message that a Layered connection was given to send, by
// what became of it, in LoopStats.LayeredOut. Call on the socket's loop.
//
// Hot path: per message.
func (c *Conn) CountSent(op OpCode, r SendResult) {
	if r != Dropped {
		c.loop.stats.LayeredOut.count(op)
	}
}
