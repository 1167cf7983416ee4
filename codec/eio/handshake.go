package eio

import "strconv"

// Handshake is what an open packet tells the client.
// engine.io-protocol: handshake
type Handshake struct {
	SID          string   // needs no escaping in JSON: letters, digits, '-' and '_'
	Upgrades     []string // transports the client may change to; no escaping either
	PingInterval int64    // milliseconds
	PingTimeout  int64    // milliseconds
	MaxPayload   int64    // bytes
}

// AppendHandshake encodes an open packet with Node's order of keys. It is the
// same in both revisions.
func AppendHandshake(dst []byte, h *Handshake) []byte {
	dst = append(dst, '0'+byte(Open))
	dst = append(dst, `{"sid":"`...)
	dst = append(dst, h.SID...)
	dst = append(dst, `","upgrades":[`...)
	for i, u := range h.Upgrades {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, u...)
		dst = append(dst, '"')
	}
	dst = append(dst, `],"pingInterval":`...)
	dst = strconv.AppendInt(dst, h.PingInterval, 10)
	dst = append(dst, `,"pingTimeout":`...)
	dst = strconv.AppendInt(dst, h.PingTimeout, 10)
	dst = append(dst, `,"maxPayload":`...)
	dst = strconv.AppendInt(dst, h.MaxPayload, 10)
	return append(dst, '}')
}
