package deflate

const (
	serverNoContextTakeover = "server_no_context_takeover"
	clientNoContextTakeover = "client_no_context_takeover"
	serverMaxWindowBits     = "server_max_window_bits"
	clientMaxWindowBits     = "client_max_window_bits"
)

// Negotiate picks the first permessage-deflate offer that c can honour from
// offers, the value of Sec-WebSocket-Extensions (several fields joined with
// commas). Other extensions are passed over. An offer with an unknown
// parameter, a parameter named twice, or a value that RFC 7692 7.1 does not
// allow is declined, and the next one is tried. A field that does not follow
// the grammar of RFC 6455 9.1 is declined as a whole. Names are compared
// exactly; a quoted value counts as the token it contains.
//
// The answer never names a parameter that the offer forbids: the client's
// window is bounded only if it offered client_max_window_bits.
func Negotiate(offers []byte, c Config) (p Params, ok bool) {
	s := scanner{b: offers}
	for s.space(); s.i < len(s.b); s.space() {
		if s.b[s.i] == ',' { // an empty list element, RFC 9110 5.6.1
			s.i++
			continue
		}
		name := s.token()
		var o offer
		good := string(name) == Extension
		for s.space(); s.i < len(s.b) && s.b[s.i] != ','; s.space() {
			key, value, hasValue, valid := s.param()
			if !valid {
				return Params{}, false
			}
			good = good && o.set(key, value, hasValue)
		}
		if len(name) == 0 {
			return Params{}, false
		}
		if good && !ok {
			p, ok = o.agree(c), true
		}
	}
	return p, ok
}

// offer is one element of the field. Window bits: 0 is absent, -1 present
// without a value.
type offer struct {
	serverNoContext, clientNoContext bool
	serverBits, clientBits           int
}

// set takes one parameter and reports whether the offer is still acceptable.
func (o *offer) set(key, value []byte, hasValue bool) bool {
	switch string(key) {
	case serverNoContextTakeover:
		return !hasValue && setOnce(&o.serverNoContext)
	case clientNoContextTakeover:
		return !hasValue && setOnce(&o.clientNoContext)
	case serverMaxWindowBits:
		if o.serverBits != 0 {
			return false
		}
		o.serverBits = parseBits(value)
		return o.serverBits != 0
	case clientMaxWindowBits:
		if o.clientBits != 0 {
			return false
		}
		if o.clientBits = -1; hasValue {
			o.clientBits = parseBits(value)
		}
		return o.clientBits != 0
	}
	return false
}

func setOnce(b *bool) bool {
	was := *b
	*b = true
	return !was
}

// parseBits reads 8..15 without a leading zero; anything else is 0.
// RFC 7692 7.1.2.
func parseBits(v []byte) int {
	if len(v) == 1 && (v[0] == '8' || v[0] == '9') {
		return int(v[0] - '0')
	}
	if len(v) == 2 && v[0] == '1' && v[1] >= '0' && v[1] <= '5' {
		return 10 + int(v[1]-'0')
	}
	return 0
}

// agree answers a well-formed offer. RFC 7692 7.1.1 and 7.1.2.
func (o *offer) agree(c Config) Params {
	p := Params{
		ServerNoContextTakeover: o.serverNoContext || !c.ContextTakeover,
		ClientNoContextTakeover: o.clientNoContext || !c.ContextTakeover,
		ServerMaxWindowBits:     windowBits(c.ServerMaxWindowBits),
		ClientMaxWindowBits:     MaxWindowBits,
	}
	if o.serverBits != 0 {
		p.ServerMaxWindowBits = min(p.ServerMaxWindowBits, o.serverBits)
	}
	p.nameServerBits = o.serverBits != 0 || p.ServerMaxWindowBits < MaxWindowBits
	if o.clientBits != 0 {
		p.ClientMaxWindowBits = windowBits(c.ClientMaxWindowBits)
		if o.clientBits > 0 {
			p.ClientMaxWindowBits = min(p.ClientMaxWindowBits, o.clientBits)
		}
	}
	return p
}

// scanner walks a Sec-WebSocket-Extensions value. RFC 6455 9.1.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t') {
		s.i++
	}
}

func (s *scanner) token() []byte {
	from := s.i
	for s.i < len(s.b) && isToken(s.b[s.i]) {
		s.i++
	}
	return s.b[from:s.i]
}

// param reads `; key`, `; key=token` or `; key="token"`.
func (s *scanner) param() (key, value []byte, hasValue, valid bool) {
	if s.b[s.i] != ';' {
		return nil, nil, false, false
	}
	s.i++
	s.space()
	if key = s.token(); len(key) == 0 {
		return nil, nil, false, false
	}
	s.space()
	if s.i == len(s.b) || s.b[s.i] != '=' {
		return key, nil, false, true
	}
	s.i++
	s.space()
	if s.i < len(s.b) && s.b[s.i] == '"' {
		value, valid = s.quoted()
	} else {
		value = s.token()
		valid = len(value) != 0
	}
	return key, value, true, valid
}

// quoted reads a quoted-string whose content, without escapes, is a token.
// An escaped value is copied only when a backslash is met.
func (s *scanner) quoted() (value []byte, valid bool) {
	s.i++
	from := s.i
	escaped := false
	for ; s.i < len(s.b); s.i++ {
		c := s.b[s.i]
		if c == '"' {
			if !escaped {
				value = s.b[from:s.i]
			}
			s.i++
			return value, len(value) != 0
		}
		if c == '\\' {
			if !escaped {
				escaped = true
				value = append(make([]byte, 0, s.i-from+8), s.b[from:s.i]...)
			}
			if s.i++; s.i == len(s.b) {
				return nil, false
			}
			c = s.b[s.i]
		}
		if !isToken(c) {
			return nil, false
		}
		if escaped {
			value = append(value, c)
		}
	}
	return nil, false
}

// isToken: RFC 9110 5.6.2.
func isToken(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}
