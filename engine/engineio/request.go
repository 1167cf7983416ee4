package engineio

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

// Request is what a session keeps of the request that began it.
type Request struct {
	// text is the URI, the header fields as they were sent, and the peer's
	// address: one allocation for all.
	text             string
	fieldsAt, peerAt uint32
	secure           bool
	issued           int64 // milliseconds since 1970
}

func newRequest(uri, fields, peer string, secure bool) *Request {
	return &Request{
		text:     uri + fields + peer,
		fieldsAt: uint32(len(uri)),
		peerAt:   uint32(len(uri) + len(fields)),
		secure:   secure,
		issued:   time.Now().UnixMilli(),
	}
}

// requestOf keeps an HTTP request.
func requestOf(r *http.Request) *Request {
	var b strings.Builder
	b.WriteString("Host: " + r.Host + "\r\n")
	// A Builder takes everything.
	_ = r.Header.Write(&b)
	return newRequest(r.URL.RequestURI(), b.String(), r.RemoteAddr, engine.TLS(r))
}

// requestOfHandshake keeps a WebSocket handshake.
func requestOfHandshake(u *engine.Handshake) *Request {
	line, fields, _ := bytes.Cut(u.Head(), []byte("\r\n"))
	uri, peer := "", ""
	if parts := bytes.Fields(line); len(parts) == 3 {
		uri = string(parts[1])
	}
	if a := u.RemoteAddr(); a.IsValid() {
		peer = a.String()
	}
	return newRequest(uri, string(bytes.TrimSuffix(fields, []byte("\r\n"))), peer, u.TLS())
}

// seenBy is the request as Options.Client sees it.
func (r *Request) seenBy(client func(*Request) (string, bool)) *Request {
	if client == nil {
		return r
	}
	address, secure := client(r)
	if address == r.RemoteAddr() && secure == r.secure {
		return r
	}
	return &Request{r.text[:r.peerAt] + address, r.fieldsAt, r.peerAt, secure, r.issued}
}

func (r *Request) fields() string { return r.text[r.fieldsAt:r.peerAt] }

// URL is the request's target: the path with the query.
func (r *Request) URL() string { return r.text[:r.fieldsAt] }

// rawQuery is the part of the target behind the question mark.
func (r *Request) rawQuery() string {
	_, raw, _ := strings.Cut(r.URL(), "?")
	return raw
}

// Query are the query parameters; malformed ones are left out.
func (r *Request) Query() url.Values {
	// What is well formed is returned beside the error.
	q, _ := url.ParseQuery(r.rawQuery())
	return q
}

// Headers are the header fields, Host included.
func (r *Request) Headers() http.Header {
	fields := io.MultiReader(strings.NewReader(r.fields()), strings.NewReader("\r\n"))
	// The server has read them before, so they are well formed.
	h, _ := textproto.NewReader(bufio.NewReader(fields)).ReadMIMEHeader()
	return http.Header(h)
}

// Header is the first value of a field, or "".
func (r *Request) Header(name string) string {
	for line := range strings.SplitSeq(r.fields(), "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Host is the Host field.
func (r *Request) Host() string { return r.Header("Host") }

// Origin is the page that the request comes from, or "".
func (r *Request) Origin() string { return r.Header("Origin") }

// HeaderValues are the values of all fields of a name, in order.
func (r *Request) HeaderValues(name string) []string {
	var all []string
	for line := range strings.SplitSeq(r.fields(), "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, name) {
			all = append(all, strings.TrimSpace(value))
		}
	}
	return all
}

// RemoteAddr is the peer's address and port, or "" where there is none; or what
// Options.Client says.
func (r *Request) RemoteAddr() string { return r.text[r.peerAt:] }

// Time is when the request came, in milliseconds.
func (r *Request) Time() time.Time { return time.UnixMilli(r.issued) }

// Secure reports whether the client speaks TLS, as engine.TLS tells, or what
// Options.Client says.
func (r *Request) Secure() bool { return r.secure }

// params are the query parameters that the protocol itself reads. Of a repeated
// one the last counts.
type params struct {
	transport, sid, eio, b64 string
}

func (r *Request) params() (p params) {
	for pair := range strings.SplitSeq(r.rawQuery(), "&") {
		key, value, _ := strings.Cut(pair, "=")
		var into *string
		switch unescape(key) {
		case "transport":
			into = &p.transport
		case "sid":
			into = &p.sid
		case "EIO":
			into = &p.eio
		case "b64":
			into = &p.b64
		default:
			continue
		}
		// The request may be larger than what is kept of it.
		*into = strings.Clone(unescape(value))
	}
	return p
}

// unescape decodes a part of a query, or leaves it if it is malformed.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// revision is the protocol that the client speaks.
func (p *params) revision() int {
	if p.eio == "4" {
		return 4
	}
	return 3
}
