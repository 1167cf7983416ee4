package handshake

import "bytes"

// SameOrigin reports whether the request has no Origin field, or one whose
// host and port are the request's own Host. A port that is the default of the
// Origin's scheme may be written or left out on either side. The schemes are
// not compared: a server behind a TLS proxy does not know its own. RFC 6455
// 10.2, RFC 6454 7.
//
// An opaque origin ("null"), several Origin fields, and schemes other than
// http, https, ws and wss are never the same.
func (r *Request) SameOrigin() bool {
	if r.origins == 0 {
		return true
	}
	scheme, host, ok := bytes.Cut(r.Origin, []byte("://"))
	if r.origins > 1 || !ok || len(host) == 0 {
		return false
	}
	var port string
	switch {
	case equalFold(scheme, "http"), equalFold(scheme, "ws"):
		port = ":80"
	case equalFold(scheme, "https"), equalFold(scheme, "wss"):
		port = ":443"
	default:
		return false
	}
	return equalFold(withoutPort(host, port), withoutPort(r.Host, port))
}

// withoutPort cuts the default port off host, if it is there. An IPv6 address
// cannot end in it: it ends in a bracket.
func withoutPort(host []byte, port string) []byte {
	if n := len(host) - len(port); n > 0 && string(host[n:]) == port {
		return host[:n]
	}
	return host
}
