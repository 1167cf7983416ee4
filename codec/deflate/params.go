package deflate

import "strconv"

// Extension is the name of the extension in Sec-WebSocket-Extensions.
const Extension = "permessage-deflate"

// Window sizes as base-2 logarithms of bytes. RFC 7692 7.1.2.
const (
	MinWindowBits = 8
	MaxWindowBits = 15
)

// Params is an agreed set of parameters. The zero value is not an agreement;
// Negotiate makes them.
type Params struct {
	// ServerNoContextTakeover: the server compresses every message on its own.
	ServerNoContextTakeover bool
	// ClientNoContextTakeover: so does the client.
	ClientNoContextTakeover bool
	// ServerMaxWindowBits bounds the distances the server may write, 8..15.
	ServerMaxWindowBits int
	// ClientMaxWindowBits bounds the distances the client may write, 8..15.
	ClientMaxWindowBits int

	nameServerBits bool // the response has to name server_max_window_bits
}

// Config says what a server is willing to agree to. The zero value is the
// shared mode: no context in either direction, windows as the client likes.
type Config struct {
	// ContextTakeover allows both sides to keep their window from one message
	// to the next, unless the client's offer forbids it.
	ContextTakeover bool

	// ServerMaxWindowBits is the largest window the server compresses with,
	// 8..15; zero means 15. The client may ask for less.
	ServerMaxWindowBits int

	// ClientMaxWindowBits is the largest window the client is asked to use,
	// 8..15; zero means 15. A client that did not offer
	// client_max_window_bits cannot be asked: its offer is taken as it is,
	// with a window of 15 bits.
	ClientMaxWindowBits int
}

func windowBits(n int) int {
	switch {
	case n == 0:
		return MaxWindowBits
	case n < MinWindowBits:
		return MinWindowBits
	case n > MaxWindowBits:
		return MaxWindowBits
	}
	return n
}

// AppendResponse appends the value of the response's Sec-WebSocket-Extensions
// field. RFC 7692 7.1.
func (p Params) AppendResponse(dst []byte) []byte {
	dst = append(dst, Extension...)
	if p.ServerNoContextTakeover {
		dst = append(dst, "; "+serverNoContextTakeover...)
	}
	if p.ClientNoContextTakeover {
		dst = append(dst, "; "+clientNoContextTakeover...)
	}
	if p.nameServerBits {
		dst = append(dst, "; "+serverMaxWindowBits+"="...)
		dst = strconv.AppendInt(dst, int64(p.ServerMaxWindowBits), 10)
	}
	if p.ClientMaxWindowBits != 0 && p.ClientMaxWindowBits < MaxWindowBits {
		dst = append(dst, "; "+clientMaxWindowBits+"="...)
		dst = strconv.AppendInt(dst, int64(p.ClientMaxWindowBits), 10)
	}
	return dst
}
