package cluster

import "bytes"

// Echo recognises the messages of one node that come back to it, without reading
// them: channels do not tell who sends.
type Echo struct {
	classic       []byte // how its broadcasts start
	json, msgpack []byte // how its envelopes end
}

// NewEcho returns the Echo of a node in a namespace.
func NewEcho(uid, namespace string) *Echo {
	head := writer{packed: true}
	head.list(3)
	head.text(uid)
	return &Echo{
		classic: head.dst,
		json:    envelopeEnd([]byte{'}'}, false, uid, namespace),
		msgpack: envelopeEnd(nil, true, uid, namespace),
	}
}

func envelopeEnd(dst []byte, packed bool, uid, namespace string) []byte {
	w := writer{dst: dst, packed: packed}
	w.key("uid")
	w.text(uid)
	w.key("nsp")
	w.text(namespace)
	w.close()
	return w.dst
}

// Broadcast says whether [AppendClassicBroadcast] wrote b for the node. Hot path:
// per message.
func (e *Echo) Broadcast(b []byte) bool { return bytes.HasPrefix(b, e.classic) }

// Envelope says whether [AppendSharded] or [AppendStreams] wrote b for the node.
// Hot path: per message.
func (e *Echo) Envelope(b []byte) bool {
	if len(b) > 0 && b[0] == '{' {
		return bytes.HasSuffix(b, e.json)
	}
	return bytes.HasSuffix(b, e.msgpack)
}
