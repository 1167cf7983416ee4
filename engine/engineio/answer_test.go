package engineio_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine/engineio"
)

// fields are those of a header that a test is about.
func fields(h http.Header) map[string]string {
	all := map[string]string{}
	for name, values := range h {
		if strings.HasPrefix(name, "Access-Control-") || name == "Vary" {
			all[name] = strings.Join(values, " | ")
		}
	}
	return all
}

func TestCORS(t *testing.T) {
	one := &engineio.CORS{Origins: []string{"http://example.com"}, Credentials: true}
	list := &engineio.CORS{Origins: []string{"http://example.com", "http://other.com"}}
	reflecting := &engineio.CORS{AllowOrigin: func(string) bool { return true }, Credentials: true, ExposedHeaders: []string{"A", "B"}}
	for _, c := range []struct {
		name   string
		cors   *engineio.CORS
		origin string
		want   map[string]string
	}{
		{"one origin", one, "http://example.com", map[string]string{
			"Access-Control-Allow-Origin": "http://example.com", "Vary": "Origin", "Access-Control-Allow-Credentials": "true"}},
		{"one origin, another page", one, "http://evil.com", map[string]string{
			"Access-Control-Allow-Origin": "http://example.com", "Vary": "Origin", "Access-Control-Allow-Credentials": "true"}},
		{"any", &engineio.CORS{Origins: []string{"*"}}, "http://example.com", map[string]string{"Access-Control-Allow-Origin": "*"}},
		{"a list, matching", list, "http://other.com", map[string]string{"Access-Control-Allow-Origin": "http://other.com", "Vary": "Origin"}},
		{"a list, not matching", list, "http://evil.com", map[string]string{"Vary": "Origin"}},
		{"a list, no origin", list, "", map[string]string{"Vary": "Origin"}},
		{"reflected", reflecting, "http://example.com", map[string]string{
			"Access-Control-Allow-Origin": "http://example.com", "Vary": "Origin",
			"Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "A,B"}},
		{"reflected, no origin", reflecting, "", map[string]string{
			"Vary": "Origin", "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "A,B"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, engineio.Options{CORS: c.cors}, nil)
			header := http.Header{}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			p := &poller{t: t, srv: srv, query: v4, http: client(t)}
			if r := p.do("GET", "", header); r.status != 200 || !reflect.DeepEqual(fields(r.header), c.want) {
				t.Errorf("handshake: %d %v", r.status, fields(r.header))
			}
			p.sid = "AAAAAAAAAAAAAAAAAAAA"
			r := p.do("POST", "4", header)
			r.wantRefused(t, 400, 1, "Session ID unknown")
			if !reflect.DeepEqual(fields(r.header), c.want) {
				t.Errorf("refusal: %v", fields(r.header))
			}
			s := srv.knock(upgradeHead(w4, "Origin: "+c.origin))
			resp, err := http.ReadResponse(s.r, nil)
			if err != nil || resp.StatusCode != 101 || !reflect.DeepEqual(fields(resp.Header), c.want) {
				t.Errorf("upgrade: %v %v", resp, err)
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	for _, c := range []struct {
		name  string
		cors  engineio.CORS
		asked string
		want  map[string]string
	}{
		{"as a rule", engineio.CORS{Origins: []string{"http://example.com"}, Methods: []string{"GET", "POST"}, Credentials: true}, "x-a, x-b", map[string]string{
			"Access-Control-Allow-Origin": "http://example.com", "Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Methods": "GET,POST", "Access-Control-Allow-Headers": "x-a, x-b",
			"Vary": "Origin, Access-Control-Request-Headers"}},
		{"defaults", engineio.CORS{Origins: []string{"*"}}, "", map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
			"Vary": "Access-Control-Request-Headers"}},
		{"fixed headers and age", engineio.CORS{Origins: []string{"*"}, AllowedHeaders: []string{"x-a", "x-b"}, MaxAge: time.Hour}, "x-c", map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
			"Access-Control-Allow-Headers": "x-a,x-b", "Access-Control-Max-Age": "3600"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, engineio.Options{CORS: &c.cors}, nil)
			header := http.Header{"Origin": {"http://example.com"}, "Access-Control-Request-Method": {"POST"}}
			if c.asked != "" {
				header.Set("Access-Control-Request-Headers", c.asked)
			}
			r := (&poller{t: t, srv: srv, query: v4, http: client(t)}).do("OPTIONS", "", header)
			if r.status != 204 || r.body != "" || !reflect.DeepEqual(fields(r.header), c.want) {
				t.Errorf("%d %q %v", r.status, r.body, fields(r.header))
			}
		})
	}
}

func TestCookies(t *testing.T) {
	session := &http.Cookie{Name: "sid", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	affinity := &http.Cookie{Name: "io", Value: "node-1", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	secure := func(*engineio.Request) bool { return true }
	for _, c := range []struct {
		name           string
		opts           engineio.Options
		polling, onWeb []string // SID stands for the session's id
	}{
		{name: "none"},
		{"session", engineio.Options{Cookie: session}, []string{"sid=SID; Path=/; HttpOnly; SameSite=Lax"}, nil},
		{"session, default name", engineio.Options{Cookie: &http.Cookie{HttpOnly: true, SameSite: http.SameSiteNoneMode, Secure: true, MaxAge: 86400}},
			[]string{"io=SID; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=None"}, nil},
		{"affinity", engineio.Options{Affinity: affinity}, []string{"io=node-1; Path=/; HttpOnly; SameSite=Lax"}, []string{"io=node-1; Path=/; HttpOnly; SameSite=Lax"}},
		{"both, secure", engineio.Options{Cookie: session, Affinity: affinity, SecureCookies: secure},
			[]string{"sid=SID; Path=/; HttpOnly; Secure; SameSite=Lax", "io=node-1; Path=/; HttpOnly; Secure; SameSite=Lax"},
			[]string{"io=node-1; Path=/; HttpOnly; Secure; SameSite=Lax"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, c.opts, nil)
			p := &poller{t: t, srv: srv, query: v4, http: client(t)}
			r := p.do("GET", "", nil)
			p.sid = strings.TrimPrefix(r.body, `0{"sid":"`)[:20]
			for i := range c.polling {
				c.polling[i] = strings.ReplaceAll(c.polling[i], "SID", p.sid)
			}
			if got := r.header["Set-Cookie"]; !reflect.DeepEqual(got, c.polling) {
				t.Errorf("handshake: %q", got)
			}
			p.wantPost("4x")
			if got := p.get().header["Set-Cookie"]; got != nil {
				t.Errorf("poll: %q", got)
			}
			s := srv.knock(upgradeHead(w4))
			resp, err := http.ReadResponse(s.r, nil)
			if err != nil || !reflect.DeepEqual(resp.Header["Set-Cookie"], c.onWeb) {
				t.Errorf("upgrade: %v %v", resp, err)
			}
		})
	}
}

func TestHTTPCompression(t *testing.T) {
	for _, c := range []struct {
		name, accept string
		size         int
		opts         engineio.Options
		compress     bool
		coding       string
	}{
		{name: "below the threshold", accept: "gzip", size: 1023, compress: true},
		{name: "gzip", accept: "gzip", size: 1024, compress: true, coding: "gzip"},
		{name: "deflate", accept: "deflate", size: 2000, compress: true, coding: "deflate"},
		{name: "both", accept: "deflate, gzip, br", size: 2000, compress: true, coding: "gzip"},
		{name: "by preference", accept: "gzip;q=0.5, deflate; q=0.8", size: 2000, compress: true, coding: "deflate"},
		{name: "gzip refused", accept: "gzip;q=0, *;q=0", size: 2000, compress: true},
		{name: "any", accept: "*", size: 2000, compress: true, coding: "gzip"},
		{name: "neither", accept: "br", size: 2000, compress: true},
		{name: "nothing", accept: "", size: 2000, compress: true},
		{name: "a weight that is none", accept: "gzip;q=x", size: 2000, compress: true},
		{name: "not wanted", accept: "gzip", size: 2000},
		{name: "off", accept: "gzip", size: 2000, opts: engineio.Options{HTTPCompression: -1}, compress: true},
		{name: "another threshold", accept: "gzip", size: 20, opts: engineio.Options{HTTPCompression: 10}, compress: true, coding: "gzip"},
		{name: "large", accept: "gzip", size: 900_000, compress: true, coding: "gzip"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, c.opts, nil)
			p := srv.poll(v4)
			text := "4" + strings.Repeat("a", c.size-1)
			for range 2 { // compressors are used again
				srv.do(p.sid, func(s *engineio.Session) { s.SendUnit([]byte(text), false, nil, c.compress) })
				header := http.Header{}
				if c.accept != "" {
					header.Set("Accept-Encoding", c.accept)
				}
				r := p.do("GET", "", header)
				if got := r.header.Get("Content-Encoding"); got != c.coding {
					t.Fatalf("Content-Encoding %q, want %q", got, c.coding)
				}
				if got := plain(t, c.coding, r.body); got != text {
					t.Errorf("%d bytes, want %d", len(got), len(text))
				}
				if c.coding != "" && r.header.Get("Content-Length") != "" {
					t.Error("a Content-Length")
				}
			}
		})
	}
}

func plain(t *testing.T, coding, body string) string {
	t.Helper()
	var r io.Reader = strings.NewReader(body)
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.Clone(b))
}
