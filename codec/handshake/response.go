package handshake

import (
	"crypto/sha1"
	"encoding/base64"
	"strconv"
)

// Field is a header field of a response.
type Field struct{ Name, Value string }

// guid is appended to the key. RFC 6455 1.3.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// AcceptKey appends the Sec-WebSocket-Accept value for a Sec-WebSocket-Key: 28
// bytes. RFC 6455 4.2.2.
func AcceptKey(dst []byte, key []byte) []byte {
	var buf [keySize + len(guid)]byte
	sum := sha1.Sum(append(append(buf[:0], key...), guid...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// AppendResponse appends the 101 response to a request whose Sec-WebSocket-Key
// is key. subprotocol and extensions are left out when empty; extra fields
// come last. RFC 6455 4.2.2.
//
// Errors are [ErrSubprotocol], [ErrResponseField] for a value or name that
// would break the head apart, and [ErrResponseReserved] for an extra field
// that the response writes itself or must not have; dst is returned as it was.
func AppendResponse(dst, key, subprotocol, extensions []byte, extra []Field) ([]byte, error) {
	if len(subprotocol) > 0 && !all(subprotocol, &isToken) {
		return dst, ErrSubprotocol
	}
	if !validValue(extensions) {
		return dst, ErrResponseField
	}
	for _, f := range extra {
		if !f.valid() {
			return dst, ErrResponseField
		}
		if f.reserved() {
			return dst, ErrResponseReserved
		}
	}
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\n"+
		"Upgrade: websocket\r\n"+
		"Connection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "...)
	dst = AcceptKey(dst, key)
	if len(subprotocol) > 0 {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, subprotocol...)
	}
	if len(extensions) > 0 {
		dst = append(dst, "\r\nSec-WebSocket-Extensions: "...)
		dst = append(dst, extensions...)
	}
	dst = append(dst, "\r\n"...)
	for _, f := range extra {
		dst = f.append(dst)
	}
	return append(dst, "\r\n"...), nil
}

// AppendError appends a response that ends the connection, with body as plain
// text. A status below 200 or above 999 becomes 500. A 426 says which protocol
// and version would do, RFC 9110 15.5.22 and RFC 6455 4.4; a 405 which method;
// 204 and 304 have no body. Fields that are malformed, or that the response
// writes itself, are left out.
func AppendError(dst []byte, status int, fields []Field, body string) []byte {
	if status < 200 || status > 999 {
		status = 500
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(append(append(dst, ' '), statusText(status)...), "\r\n"...)
	switch status {
	case 405:
		dst = append(dst, "Allow: GET\r\nConnection: close\r\n"...)
	case 426:
		dst = append(dst, "Upgrade: websocket\r\n"+
			"Connection: Upgrade, close\r\n"+
			"Sec-WebSocket-Version: 13\r\n"...)
	default:
		dst = append(dst, "Connection: close\r\n"...)
	}
	contentType := Field{"Content-Type", "text/plain; charset=utf-8"}
	for _, f := range fields {
		switch {
		case !f.valid() || f.reserved() || status == 405 && equalFold(f.Name, "Allow"):
		case equalFold(f.Name, contentType.Name):
			contentType = f
		default:
			dst = f.append(dst)
		}
	}
	if status == 204 || status == 304 {
		return append(dst, "\r\n"...)
	}
	dst = contentType.append(dst)
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	return append(append(dst, "\r\n\r\n"...), body...)
}

func (f Field) append(dst []byte) []byte {
	dst = append(append(dst, f.Name...), ": "...)
	return append(append(dst, f.Value...), "\r\n"...)
}

// valid reports whether the field can be written without breaking the head.
func (f Field) valid() bool {
	for i := range len(f.Name) {
		if !isToken[f.Name[i]] {
			return false
		}
	}
	for i := range len(f.Value) {
		if c := f.Value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return f.Name != ""
}

// reserved reports whether the response's own lines decide about the field.
func (f Field) reserved() bool {
	switch len(f.Name) {
	case len("upgrade"):
		return equalFold(f.Name, "upgrade")
	case len("connection"):
		return equalFold(f.Name, "connection")
	case len("content-length"):
		return equalFold(f.Name, "content-length")
	case len("transfer-encoding"):
		return equalFold(f.Name, "transfer-encoding")
	case len("sec-websocket-accept"):
		return equalFold(f.Name, "sec-websocket-accept")
	case len("sec-websocket-version"):
		return equalFold(f.Name, "sec-websocket-version")
	case len("sec-websocket-protocol"):
		return equalFold(f.Name, "sec-websocket-protocol")
	case len("sec-websocket-extensions"):
		return equalFold(f.Name, "sec-websocket-extensions")
	}
	return false
}

// statusText is the reason phrase of the statuses a handshake is likely to be
// refused with; it may be empty. RFC 9112 4.
func statusText(status int) string {
	switch status {
	case 200:
		return "OK"
	case 204:
		return "No Content"
	case 301:
		return "Moved Permanently"
	case 302:
		return "Found"
	case 303:
		return "See Other"
	case 304:
		return "Not Modified"
	case 307:
		return "Temporary Redirect"
	case 308:
		return "Permanent Redirect"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 409:
		return "Conflict"
	case 410:
		return "Gone"
	case 421:
		return "Misdirected Request"
	case 426:
		return "Upgrade Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	}
	return ""
}
