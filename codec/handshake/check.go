package handshake

// IsUpgrade reports whether the request asks for a WebSocket: an Upgrade field
// names websocket. A request that does but fails Check is answered with the
// error; one that does not is an ordinary HTTP request.
func (r *Request) IsUpgrade() bool { return r.upgrade }

// Check holds the request against RFC 6455 4.2.1 and returns nil or an
// [*Error] with the status of the answer:
//
//   - 405: the method is not GET;
//   - 426: HTTP/1.0, which cannot upgrade (RFC 9110 7.8); 505: any other
//     version but 1.1 and later minor ones;
//   - 400: not exactly one Host field with a host in it; a Content-Length
//     other than 0, or a Transfer-Encoding, as a body would pass for frames;
//   - 426: Upgrade does not name websocket; 400: Connection does not name
//     Upgrade;
//   - 400: several Sec-WebSocket-Version; 426: none, or another than 13;
//   - 400: not exactly one Sec-WebSocket-Key of 16 bytes in base64.
func (r *Request) Check() error {
	switch {
	case string(r.Method) != "GET":
		return ErrMethod
	case r.major == 1 && r.minor == 0:
		return ErrOldHTTP
	case r.major != 1:
		return ErrHTTPVersion
	case r.hosts != 1 || !validHost(r.hostField):
		return ErrHost
	case r.body:
		return ErrBody
	case !r.upgrade:
		return ErrUpgrade
	case !r.connection:
		return ErrConnection
	case r.versions > 1:
		return ErrVersions
	case string(r.version) != "13":
		return ErrVersion
	case r.keys != 1 || !validKey(r.Key):
		return ErrKey
	}
	return nil
}

// keySize is the size of 16 bytes in base64.
const keySize = 24

var isBase64 = makeSet("+/" + digits + letters)

// validKey reports whether p is the base64 form of 16 bytes. The 4 bits of
// padding in its last digit are not looked at.
func validKey(p []byte) bool {
	return len(p) == keySize && all(p[:keySize-2], &isBase64) && string(p[keySize-2:]) == "=="
}
