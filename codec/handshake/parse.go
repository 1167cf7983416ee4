package handshake

import (
	"bytes"
	"net/netip"
)

const start = "GET "

// Sniff reports whether b, the first bytes of a connection, is or may still
// become the start of a GET request. Any other request is no handshake.
func Sniff(b []byte) bool {
	n := min(len(b), len(start))
	return string(b[:n]) == start[:n]
}

var headEnd = []byte("\r\n\r\n")

// HeadLen returns the size in bytes of the request head at the start of b, its
// empty line included, and 0 while b has no empty line yet. from is how much
// of b an earlier call has searched.
func HeadLen(b []byte, from int) int {
	from = max(from-len(headEnd)+1, 0)
	i := bytes.Index(b[from:], headEnd)
	if i < 0 {
		return 0
	}
	return from + i + len(headEnd)
}

// Parse reads a request head of the size [HeadLen] gave. It is strict: CRLF
// only, no folded lines, no white space before a colon, no control bytes, a
// target that is a path or an absolute http or https URI in visible ASCII,
// at most [MaxFields] fields. What it refuses it answers with an [*Error] of
// status 400, or 431 for too many fields. RFC 9112 2 to 5.
//
// It aliases head. It does not ask for a handshake: that is Check.
func (r *Request) Parse(head []byte) error {
	r.Reset()
	line, rest, err := cutLine(head)
	if err != nil {
		return err
	}
	if err := r.parseLine(line); err != nil {
		return err
	}
	for {
		if line, rest, err = cutLine(rest); err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		if err := r.parseField(line); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		return ErrHead
	}
	return nil
}

// cutLine cuts the first line, without its CRLF, off b.
func cutLine(b []byte) (line, rest []byte, err error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, nil, ErrHead
	}
	if i == 0 || b[i-1] != '\r' {
		return nil, nil, ErrLineEnd
	}
	return b[:i-1], b[i+1:], nil
}

// parseLine reads method SP target SP version. RFC 9112 3.
func (r *Request) parseLine(line []byte) error {
	i, j := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if i < 0 || i == j {
		return ErrRequestLine
	}
	return r.setLine(line[:i], line[i+1:j], line[j+1:])
}

func (r *Request) setLine(method, target, proto []byte) error {
	if !all(method, &isToken) {
		return ErrRequestLine
	}
	if len(proto) != len("HTTP/1.1") || string(proto[:5]) != "HTTP/" || proto[6] != '.' {
		return ErrRequestLine
	}
	r.major, r.minor = proto[5]-'0', proto[7]-'0'
	if r.major > 9 || r.minor > 9 {
		return ErrRequestLine
	}
	r.Method = method
	return r.setTarget(target)
}

// setTarget reads a target in origin form or absolute form. A fragment is not
// allowed. RFC 9112 3.2, RFC 6455 3.
func (r *Request) setTarget(target []byte) error {
	for _, c := range target {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return ErrTarget
		}
	}
	r.Target = target
	path, query, _ := bytes.Cut(target, []byte{'?'})
	if !bytes.HasPrefix(path, slash) {
		var ok bool
		if path, ok = r.setAuthority(path); !ok {
			return ErrTarget
		}
	}
	if !validEscapes(path) {
		return ErrTarget
	}
	r.Path, r.RawQuery = path, query
	return nil
}

var slash = []byte{'/'}

// setAuthority takes scheme and authority off an absolute URI without its
// query. The authority takes the place of the Host field. RFC 9112 3.2.2.
func (r *Request) setAuthority(uri []byte) (path []byte, ok bool) {
	i := bytes.Index(uri, []byte("://"))
	if i < 0 || !equalFold(uri[:i], "http") && !equalFold(uri[:i], "https") {
		return nil, false
	}
	authority, path := uri[i+3:], slash
	if j := bytes.IndexByte(authority, '/'); j >= 0 {
		authority, path = authority[:j], authority[j:]
	}
	r.Host, r.authority = authority, true
	return path, validHost(authority)
}

// validEscapes reports whether every percent sign has two hex digits behind it.
func validEscapes(p []byte) bool {
	for {
		i := bytes.IndexByte(p, '%')
		if i < 0 {
			return true
		}
		if len(p) < i+3 || !isHex(p[i+1]) || !isHex(p[i+2]) {
			return false
		}
		p = p[i+3:]
	}
}

// validHost reports whether p is host[:port] with a host that is not empty:
// a name, an IPv4 address, or an IPv6 address in brackets without a zone.
// RFC 3986 3.2.2.
func validHost(p []byte) bool {
	host, port := p, []byte(nil)
	if len(p) > 0 && p[0] == '[' {
		end := bytes.IndexByte(p, ']')
		if end < 0 {
			return false
		}
		addr, err := netip.ParseAddr(string(p[1:end]))
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		if port = p[end+1:]; len(port) > 0 && port[0] != ':' {
			return false
		}
	} else {
		if i := bytes.IndexByte(p, ':'); i >= 0 {
			host, port = p[:i], p[i:]
		}
		if !all(host, &isHost) {
			return false
		}
	}
	for _, c := range port[min(1, len(port)):] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// parseField reads a field line. RFC 9112 5.
func (r *Request) parseField(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return ErrFolded
	}
	n := 0
	for n < len(line) && isToken[line[n]] {
		n++
	}
	if n == 0 || n == len(line) || line[n] != ':' {
		return ErrFieldName
	}
	return r.addField(line[:n], trim(line[n+1:]))
}

// addField keeps a field and notes what Check will ask about.
func (r *Request) addField(name, value []byte) error {
	if !validValue(value) {
		return ErrFieldValue
	}
	if len(r.fields) >= MaxFields {
		return ErrTooManyFields
	}
	r.fields = append(r.fields, field{name, value})
	switch len(name) {
	case len("host"):
		if equalFold(name, "host") {
			r.addHost(value)
		}
	case len("origin"):
		if equalFold(name, "origin") {
			r.Origin = first(&r.origins, r.Origin, value)
		}
	case len("upgrade"):
		if equalFold(name, "upgrade") {
			r.upgrade = r.upgrade || hasToken(value, "websocket")
		}
	case len("connection"):
		if equalFold(name, "connection") {
			r.connection = r.connection || hasToken(value, "upgrade")
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			r.lengths++
			r.body = r.body || r.lengths > 1 || string(value) != "0"
		}
	case len("sec-websocket-key"): // as long as transfer-encoding
		if equalFold(name, "sec-websocket-key") {
			r.Key = first(&r.keys, r.Key, value)
		} else if equalFold(name, "transfer-encoding") {
			r.body = true
		}
	case len("sec-websocket-version"):
		if equalFold(name, "sec-websocket-version") {
			r.version = first(&r.versions, r.version, value)
		}
	case len("sec-websocket-protocol"):
		if equalFold(name, "sec-websocket-protocol") {
			r.Protocols = join(&r.protocols, &r.protocolsBuf, r.Protocols, value)
		}
	case len("sec-websocket-extensions"):
		if equalFold(name, "sec-websocket-extensions") {
			r.Extensions = join(&r.extensions, &r.extensionsBuf, r.Extensions, value)
		}
	}
	return nil
}

func (r *Request) addHost(value []byte) {
	r.hostField = first(&r.hosts, r.hostField, value)
	if !r.authority {
		r.Host = r.hostField
	}
}

// first counts a field that may come once, and keeps its first value.
func first(count *uint8, old, value []byte) []byte {
	if *count++; *count > 1 {
		return old
	}
	return value
}

// join makes one value of a list that came in several fields, in order, as
// RFC 9110 5.3 and RFC 6455 9.1 say.
func join(count *uint8, buf *[]byte, old, value []byte) []byte {
	if *count++; *count == 1 {
		return value
	}
	if *count == 2 {
		*buf = append((*buf)[:0], old...)
	}
	*buf = append(append(*buf, ", "...), value...)
	return *buf
}
