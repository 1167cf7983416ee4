package socketio

import (
	"encoding/json"
	"net/netip"
	"strings"
)

// Handshake describes the request that began a socket's connection, as Node's
// socket.handshake does.
type Handshake struct {
	// Headers by their lower-case names; several of one name are joined.
	Headers map[string]string `json:"headers"`
	// Time is when the client came, as JavaScript writes a Date.
	Time string `json:"time"`
	// Address is the peer's IP address.
	Address string `json:"address"`
	// XDomain is true when the request had an Origin.
	XDomain bool `json:"xdomain"`
	// Secure is true when the client speaks TLS, as far as this server knows: see
	// engineio.Request.Secure.
	Secure bool `json:"secure"`
	// Issued is Time in milliseconds since 1970.
	Issued int64 `json:"issued"`
	// URL is the request's target.
	URL string `json:"url"`
	// Query are its parameters; of a repeated one the last.
	Query map[string]string `json:"query"`
	// Auth is what the client sent with its request to join: an object.
	Auth json.RawMessage `json:"auth"`
}

// UnmarshalJSON reads what another node told. Node servers tell parameters and
// headers that came twice as lists.
func (h *Handshake) UnmarshalJSON(b []byte) error {
	type plain Handshake // without this method
	told := struct {
		*plain
		Headers map[string]textOrList `json:"headers"`
		Query   map[string]textOrList `json:"query"`
	}{plain: (*plain)(h)}
	err := json.Unmarshal(b, &told) // with an error, what could be read
	h.Headers, h.Query = map[string]string{}, map[string]string{}
	for name, all := range told.Headers {
		h.Headers[name] = strings.Join(all, ", ")
	}
	for name, all := range told.Query {
		if len(all) > 0 {
			h.Query[name] = all[len(all)-1]
		}
	}
	return err
}

// textOrList is a string or a list of them.
type textOrList []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *textOrList) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(t))
	}
	var one string
	err := json.Unmarshal(b, &one)
	*t = textOrList{one}
	return err
}

// jsTime is how JavaScript writes a Date in UTC.
const jsTime = "Mon Jan 02 2006 15:04:05 GMT+0000 (Coordinated Universal Time)"

// Handshake describes how the socket came to be. It is made at each call.
func (s *Socket) Handshake() *Handshake {
	r := s.client.session.Request()
	auth, _ := s.Auth().JSON()
	h := &Handshake{
		Headers: map[string]string{},
		Time:    r.Time().UTC().Format(jsTime),
		Address: r.RemoteAddr(),
		XDomain: r.Origin() != "",
		Secure:  r.Secure(),
		Issued:  r.Time().UnixMilli(),
		URL:     r.URL(),
		Query:   map[string]string{},
		Auth:    auth,
	}
	if a, err := netip.ParseAddrPort(h.Address); err == nil {
		h.Address = a.Addr().Unmap().String()
	}
	for name, values := range r.Headers() {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		h.Headers[strings.ToLower(name)] = strings.Join(values, separator)
	}
	for name, values := range r.Query() {
		h.Query[name] = values[len(values)-1]
	}
	return h
}
