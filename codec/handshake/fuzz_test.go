package handshake_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/handshake"
)

// The grammar of a head by RFC 9112, over text in which each byte is a rune.
var (
	lineRE  = regexp.MustCompile("^([-!#$%&'*+.^_`|~0-9A-Za-z]+) ([!-\"$-~]+) HTTP/([0-9])\\.([0-9])$")
	fieldRE = regexp.MustCompile("^([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\u0080-\u00ff]*?)[ \t]*$")
	uriRE   = regexp.MustCompile("^(?i:https?)://([^/]*)(/.*)?$")
	hostRE  = regexp.MustCompile(`^(?:([-._~!$&'()*+,;=0-9A-Za-z]+)|\[([0-9A-Fa-f:.]+)\])(?::[0-9]*)?$`)
	badRE   = regexp.MustCompile(`%(?:[^0-9A-Fa-f]|.[^0-9A-Fa-f]|.?$)`)
)

// oracle is a request head read with split and regular expressions.
type oracle struct {
	ok            bool // may be parsed
	method, host  string
	target, path  string
	query         string
	version       string
	names, values []string
}

func readHead(head string) (o oracle) {
	text := make([]rune, 0, len(head))
	for i := range len(head) {
		text = append(text, rune(head[i]))
	}
	lines, ok := strings.CutSuffix(string(text), "\r\n\r\n")
	if !ok {
		return o
	}
	all := strings.Split(lines, "\r\n")
	line := lineRE.FindStringSubmatch(all[0])
	if line == nil || len(all)-1 > handshake.MaxFields {
		return o
	}
	o.method, o.target, o.version = line[1], line[2], line[3]+"."+line[4]
	o.path, o.query, _ = strings.Cut(o.target, "?")
	absolute := !strings.HasPrefix(o.path, "/")
	if absolute {
		uri := uriRE.FindStringSubmatch(o.path)
		if uri == nil || !goodHost(uri[1]) {
			return o
		}
		o.host, o.path = uri[1], uri[2]
		if o.path == "" {
			o.path = "/"
		}
	}
	if badRE.MatchString(o.path) {
		return o
	}
	for _, line := range all[1:] {
		f := fieldRE.FindStringSubmatch(line)
		if f == nil {
			return o
		}
		value := make([]byte, 0, len(f[2]))
		for _, r := range f[2] {
			value = append(value, byte(r))
		}
		o.names, o.values = append(o.names, f[1]), append(o.values, string(value))
	}
	if hosts := o.all("Host"); !absolute && len(hosts) > 0 {
		o.host = hosts[0]
	}
	o.ok = true
	return o
}

func goodHost(s string) bool {
	m := hostRE.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	addr, err := netip.ParseAddr(m[2])
	return m[1] != "" || err == nil && addr.Is6()
}

func (o *oracle) all(name string) (values []string) {
	for i := range o.names {
		if strings.EqualFold(o.names[i], name) {
			values = append(values, o.values[i])
		}
	}
	return values
}

// names reports whether the fields called field name token in their lists.
func (o *oracle) hasToken(field, token string) bool {
	for item := range strings.SplitSeq(strings.Join(o.all(field), ","), ",") {
		if lowerASCII(strings.Trim(item, " \t")) == token {
			return true
		}
	}
	return false
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// broken lists every rule of the handshake that the request breaks.
func (o *oracle) broken() (rules []error) {
	add := func(rule error, when bool) {
		if when {
			rules = append(rules, rule)
		}
	}
	hosts, keys, versions := o.all("Host"), o.all("Sec-WebSocket-Key"), o.all("Sec-WebSocket-Version")
	lengths := o.all("Content-Length")
	add(handshake.ErrMethod, o.method != "GET")
	add(handshake.ErrOldHTTP, o.version == "1.0")
	add(handshake.ErrHTTPVersion, o.version[0] != '1')
	add(handshake.ErrHost, len(hosts) != 1 || !goodHost(hosts[0]))
	add(handshake.ErrBody, len(lengths) > 1 || len(lengths) == 1 && lengths[0] != "0" || o.all("Transfer-Encoding") != nil)
	add(handshake.ErrUpgrade, !o.hasToken("Upgrade", "websocket"))
	add(handshake.ErrConnection, !o.hasToken("Connection", "upgrade"))
	add(handshake.ErrVersions, len(versions) > 1)
	add(handshake.ErrVersion, len(versions) != 1 || versions[0] != "13")
	key := ""
	if len(keys) == 1 {
		key = keys[0]
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	add(handshake.ErrKey, err != nil || len(raw) != 16)
	return rules
}

func FuzzHandshake(f *testing.F) {
	f.Add([]byte(rfc), uint16(0))
	f.Add(browser, uint16(7))
	for _, s := range []string{
		"GET / HTTP/1.1\r\n\r\n",
		"GET http://a.example:80?x HTTP/1.0\r\nHost: b\r\nOrigin: http://a.example\r\n\r\n",
		"GET http://[::1]/%41 HTTP/1.1\r\nHost: [::1]:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
		"GET / HTTP/1.1\nHost: h\n\n",
		"GET / HTTP/1.1\r\nA : b\r\nC: \x00\r\n\r\n",
		"GET /%zz HTTP/2.0\r\nSec-WebSocket-Extensions: a; b=\"c, d\"\r\nsec-websocket-extensions: e\r\n\r\n",
	} {
		f.Add([]byte(s), uint16(len(s)))
	}
	for _, field := range []string{"Pragma: no-cache", "Origin: null", "Content-Length: 0", "Trailer: x", "Host: two", "Connection: close"} {
		f.Add([]byte(strings.Replace(rfc, "\r\n\r\n", "\r\n"+field+"\r\n\r\n", 1)), uint16(3))
	}
	var r handshake.Request // reused, as a loop does
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		head := checkHeadLen(t, in, int(step)%64+1)
		o := readHead(string(head))
		err := r.Parse(head)
		if (err == nil) != o.ok {
			t.Fatalf("Parse of %q: %v; the oracle says %v", head, err, o.ok)
		}
		if err != nil {
			return
		}
		checkRequest(t, &r, &o)
		broken := o.broken()
		if err := r.Check(); err == nil && len(broken) > 0 || err != nil && !slices.Contains(broken, err) {
			t.Fatalf("Check of %q: %v; want one of %v", head, err, broken)
		}
		checkStandard(t, &r, head, len(broken) == 0)
		checkOrigin(t, &r)
		checkFed(t, &o, len(broken) == 0)
	})
}

// checkHeadLen looks for the end of the head as bytes arrive, and returns the
// head, or all of in when it has none.
func checkHeadLen(t *testing.T, in []byte, step int) []byte {
	t.Helper()
	want := bytes.Index(in, []byte("\r\n\r\n")) + 4
	for from, have := 0, 0; have < len(in); from = have {
		have = min(have+step, len(in))
		if n := handshake.HeadLen(in[:have], from); n > 0 {
			if n != want {
				t.Fatalf("HeadLen of %q is %d; want %d", in, n, want)
			}
			return in[:n]
		}
	}
	if want >= 4 {
		t.Fatalf("HeadLen of %q is 0; want %d", in, want)
	}
	return in
}

func checkRequest(t *testing.T, r *handshake.Request, o *oracle) {
	t.Helper()
	for name, pair := range map[string][2]string{
		"Method":     {string(r.Method), o.method},
		"Target":     {string(r.Target), o.target},
		"Path":       {string(r.Path), o.path},
		"RawQuery":   {string(r.RawQuery), o.query},
		"Host":       {string(r.Host), o.host},
		"Extensions": {string(r.Extensions), strings.Join(o.all("Sec-WebSocket-Extensions"), ", ")},
		"Protocols":  {string(r.Protocols), strings.Join(o.all("Sec-WebSocket-Protocol"), ", ")},
	} {
		if pair[0] != pair[1] {
			t.Fatalf("%s is %q; want %q", name, pair[0], pair[1])
		}
	}
	if got := r.IsUpgrade(); got != o.hasToken("Upgrade", "websocket") {
		t.Fatalf("IsUpgrade is %v", got)
	}
	if r.FieldCount() != len(o.names) {
		t.Fatalf("%d fields; want %d", r.FieldCount(), len(o.names))
	}
	i := 0
	for name, value := range r.Fields() {
		if string(name) != o.names[i] || string(value) != o.values[i] {
			t.Fatalf("field %d is %q: %q; want %q: %q", i, name, value, o.names[i], o.values[i])
		}
		i++
	}
	for _, name := range o.names {
		if got, want := string(r.Field(name)), o.all(name)[0]; got != want {
			t.Fatalf("field %q is %q; want %q", name, got, want)
		}
	}
}

// checkStandard holds a request against net/http's reading of the same head:
// they must agree where both take it, and net/http must take every handshake.
func checkStandard(t *testing.T, r *handshake.Request, head []byte, isHandshake bool) {
	t.Helper()
	std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		if isHandshake {
			t.Fatalf("net/http refuses %q: %v", head, err)
		}
		return
	}
	path, err := url.PathUnescape(string(r.Path))
	if err != nil {
		t.Fatal(err)
	}
	if std.URL.Path == "" && std.URL.IsAbs() {
		std.URL.Path = "/"
	}
	if std.Method != string(r.Method) || std.RequestURI != string(r.Target) || std.Host != string(r.Host) ||
		std.URL.Path != path || std.URL.RawQuery != string(r.RawQuery) {
		t.Fatalf("%q: method %q, target %q, host %q, path %q, query %q; net/http has %+v",
			head, r.Method, r.Target, r.Host, path, r.RawQuery, std)
	}
	header := http.Header{}
	for name, value := range r.Fields() {
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		header[key] = append(header[key], string(value))
	}
	for _, h := range []http.Header{header, std.Header} {
		// net/http takes these away, or adds them.
		for _, key := range []string{"Host", "Transfer-Encoding", "Trailer", "Cache-Control", "Content-Length"} {
			delete(h, key)
		}
	}
	if !reflect.DeepEqual(header, std.Header) {
		t.Fatalf("%q: fields %q; net/http has %q", head, header, std.Header)
	}
}

// checkOrigin: an origin that passes for the request's own has its host and
// port, as net/url reads it.
func checkOrigin(t *testing.T, r *handshake.Request) {
	t.Helper()
	origin := r.Field("Origin")
	if origin == nil || !r.SameOrigin() || !goodHost(string(r.Host)) {
		return
	}
	u, err := url.Parse(string(origin))
	if err != nil {
		t.Fatalf("origin %q passes, which net/url refuses: %v", origin, err)
	}
	port := map[string]string{"http": ":80", "ws": ":80", "https": ":443", "wss": ":443"}[u.Scheme]
	a, b := strings.TrimSuffix(u.Host, port), strings.TrimSuffix(string(r.Host), port)
	if port == "" || !strings.EqualFold(a, b) || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		t.Fatalf("origin %q passes for host %q", origin, r.Host)
	}
}

// checkFed: a request fed in piece by piece is judged like the whole.
func checkFed(t *testing.T, o *oracle, good bool) {
	t.Helper()
	var r handshake.Request
	if err := r.SetLine(o.method, o.target, "HTTP/"+o.version); err != nil {
		t.Fatal(err)
	}
	for i := range o.names {
		if err := r.Add(o.names[i], o.values[i]); err != nil {
			t.Fatal(err)
		}
	}
	checkRequest(t, &r, o)
	if err := r.Check(); (err == nil) != good {
		t.Fatalf("fed in, Check says %v", err)
	}
}

func FuzzResponse(f *testing.F) {
	f.Add("chat", "permessage-deflate; server_max_window_bits=12", "Set-Cookie", "a=b", uint16(403), "no")
	f.Add("", "", "Connection", "x\r\nY: z", uint16(426), "")
	f.Add("a,b", "\x00", "Sec-WebSocket-Accept", "\t", uint16(101), "body\r\n\r\n")
	f.Add("", "", "content-type", "application/json", uint16(204), "{}")
	f.Fuzz(func(t *testing.T, subprotocol, extensions, name, value string, status uint16, body string) {
		fields := []handshake.Field{{Name: name, Value: value}}
		out, err := handshake.AppendResponse(nil, []byte(rfcKey), []byte(subprotocol), []byte(extensions), fields)
		if err == nil {
			want := http.Header{}
			want.Set("Upgrade", "websocket")
			want.Set("Connection", "Upgrade")
			want.Set("Sec-Websocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
			if subprotocol != "" {
				want.Set("Sec-Websocket-Protocol", subprotocol)
			}
			if extensions != "" {
				want.Set("Sec-Websocket-Extensions", strings.Trim(extensions, " \t"))
			}
			want.Add(name, strings.Trim(value, " \t"))
			checkResponse(t, out, 101, want, "")
		} else if len(out) > 0 {
			t.Fatalf("%v, and yet %q", err, out)
		}

		out = handshake.AppendError(nil, int(status), fields, body)
		code := int(status)
		if code < 200 || code > 999 {
			code = 500
		}
		if code == 204 || code == 304 {
			body = ""
		}
		checkResponse(t, out, code, nil, body)
	})
}

// checkResponse reads out as net/http does; nothing may be left behind it.
func checkResponse(t *testing.T, out []byte, status int, header http.Header, body string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(out))
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	var got bytes.Buffer
	if status != 101 {
		if _, err := got.ReadFrom(response.Body); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
	}
	response.Body.Close()
	if response.StatusCode != status || got.String() != body || r.Buffered() > 0 {
		t.Fatalf("%q: status %d, body %q, %d bytes left", out, response.StatusCode, got.String(), r.Buffered())
	}
	delete(response.Header, "Cache-Control") // net/http adds it to Pragma
	delete(header, "Cache-Control")
	if header != nil && !reflect.DeepEqual(response.Header, header) {
		t.Fatalf("%q: fields %q; want %q", out, response.Header, header)
	}
}
