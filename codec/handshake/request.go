package handshake

import "iter"

// MaxFields is the most header fields a request may have.
const MaxFields = 100

// Request is the head of an HTTP request. Its slices alias the head given to
// Parse, or memory of the Request's own, and hold until the next Parse or
// Reset. A Request is reused: in steady state it allocates nothing.
type Request struct {
	Method   []byte
	Target   []byte // as sent: a path and query, or an absolute URI
	Path     []byte // of Target, not unescaped; begins with a slash
	RawQuery []byte // of Target, without the question mark
	Host     []byte // the Host field, or the authority of an absolute Target

	Origin     []byte // nil when absent
	Key        []byte // Sec-WebSocket-Key
	Extensions []byte // Sec-WebSocket-Extensions, joined by commas
	Protocols  []byte // Sec-WebSocket-Protocol, joined by commas

	major, minor byte // of the HTTP version
	authority    bool // Host is Target's
	upgrade      bool // an Upgrade field names websocket
	connection   bool // a Connection field names upgrade
	body         bool // a Content-Length other than 0, or a Transfer-Encoding
	hosts        uint8
	origins      uint8
	keys         uint8
	versions     uint8
	extensions   uint8
	protocols    uint8
	lengths      uint8
	version      []byte
	hostField    []byte

	fields []field

	own           []byte // bytes given as strings
	extensionsBuf []byte // where a second field is joined to the first
	protocolsBuf  []byte
}

type field struct{ name, value []byte }

// Reset forgets the request and keeps the memory.
func (r *Request) Reset() {
	clear(r.fields)
	*r = Request{
		fields:        r.fields[:0],
		own:           r.own[:0],
		extensionsBuf: r.extensionsBuf[:0],
		protocolsBuf:  r.protocolsBuf[:0],
	}
}

// SetLine sets the request line of a request that was parsed elsewhere, by the
// rules of Parse. proto is as in "HTTP/1.1".
func (r *Request) SetLine(method, target, proto string) error {
	return r.setLine(r.keep(method), r.keep(target), r.keep(proto))
}

// Add adds a header field of a request that was parsed elsewhere, by the rules
// of Parse. A Host that was taken out of the fields must be added too.
func (r *Request) Add(name, value string) error {
	n, v := r.keep(name), trim(r.keep(value))
	if !all(n, &isToken) {
		return ErrFieldName
	}
	return r.addField(n, v)
}

// keep copies s into memory of the request.
func (r *Request) keep(s string) []byte {
	n := len(r.own)
	r.own = append(r.own, s...)
	return r.own[n:len(r.own):len(r.own)]
}

// Field returns the value of the first field called name, in any case, and nil
// when there is none.
func (r *Request) Field(name string) []byte {
	for i := range r.fields {
		if f := &r.fields[i]; equalFold(f.name, name) {
			return f.value
		}
	}
	return nil
}

// Each yields the values of the fields called name, in any case, in order.
func (r *Request) Each(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range r.fields {
			if f := &r.fields[i]; equalFold(f.name, name) && !yield(f.value) {
				return
			}
		}
	}
}

// Fields yields names, as sent, and values of all fields in order.
func (r *Request) Fields() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := range r.fields {
			if f := &r.fields[i]; !yield(f.name, f.value) {
				return
			}
		}
	}
}

// FieldCount is the number of header fields.
func (r *Request) FieldCount() int { return len(r.fields) }
