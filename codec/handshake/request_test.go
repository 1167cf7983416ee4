package handshake_test

import (
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/handshake"
)

// A request that net/http parsed gives the same as the head it came from.
func TestSetLineAndAdd(t *testing.T) {
	var r handshake.Request
	for range 2 {
		r.Reset()
		if err := r.SetLine("GET", "/chat?x=1", "HTTP/1.1"); err != nil {
			t.Fatal(err)
		}
		for _, f := range [][2]string{
			{"Host", "server.example.com"},
			{"Upgrade", " websocket "},
			{"Connection", "Upgrade"},
			{"Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
			{"Sec-Websocket-Protocol", "chat"},
			{"Sec-Websocket-Protocol", "superchat"},
			{"Sec-Websocket-Version", "13"},
		} {
			if err := r.Add(f[0], f[1]); err != nil {
				t.Fatal(f, err)
			}
		}
		if err := r.Check(); err != nil || !r.IsUpgrade() {
			t.Fatalf("got %v, IsUpgrade %v", err, r.IsUpgrade())
		}
		got := strings.Join([]string{
			string(r.Method), string(r.Target), string(r.Path), string(r.RawQuery),
			string(r.Host), string(r.Key), string(r.Protocols), string(r.Field("upgrade")),
		}, " | ")
		want := "GET | /chat?x=1 | /chat | x=1 | server.example.com | dGhlIHNhbXBsZSBub25jZQ== | chat, superchat | websocket"
		if got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func TestSetLineAndAddErrors(t *testing.T) {
	var r handshake.Request
	for line, want := range map[[3]string]*handshake.Error{
		{"", "/", "HTTP/1.1"}:        handshake.ErrRequestLine,
		{"GET", "", "HTTP/1.1"}:      handshake.ErrTarget,
		{"GET", "/ /", "HTTP/1.1"}:   handshake.ErrTarget,
		{"GET", "/", ""}:             handshake.ErrRequestLine,
		{"GET", "/", "HTTP/1.1\r\n"}: handshake.ErrRequestLine,
	} {
		r.Reset()
		if err := r.SetLine(line[0], line[1], line[2]); err != want {
			t.Errorf("%q: got %v; want %v", line, err, want)
		}
	}
	for field, want := range map[[2]string]*handshake.Error{
		{"", "x"}:      handshake.ErrFieldName,
		{"A ", "x"}:    handshake.ErrFieldName,
		{"A", "x\r\n"}: handshake.ErrFieldValue,
		{"A", "\x00"}:  handshake.ErrFieldValue,
	} {
		if err := r.Add(field[0], field[1]); err != want {
			t.Errorf("%q: got %v; want %v", field, err, want)
		}
	}
	r.Reset()
	for i := range handshake.MaxFields {
		if err := r.Add("A", "b"); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := r.Add("A", "b"); err != handshake.ErrTooManyFields {
		t.Errorf("got %v", err)
	}
}

func TestNextItem(t *testing.T) {
	tests := map[string]string{
		"":                     "",
		" , ,\t,":              "",
		"chat":                 "chat|",
		"chat, superchat":      "chat|superchat|",
		"\tchat ,,superchat\t": "chat|superchat|",
		"a b, c":               "a b|c|",
	}
	for list, want := range tests {
		var got strings.Builder
		item, rest := handshake.NextItem([]byte(list))
		for ; len(item) > 0; item, rest = handshake.NextItem(rest) {
			got.Write(item)
			got.WriteByte('|')
		}
		if got.String() != want {
			t.Errorf("%q: got %q; want %q", list, got.String(), want)
		}
	}
}

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		host, origin string // origin "": no field
		want         bool
	}{
		{"example.com", "", true},
		{"example.com", "http://example.com", true},
		{"example.com", "https://example.com", true},
		{"Example.COM", "HTTP://eXample.com", true},
		{"example.com:9001", "http://example.com:9001", true},
		{"example.com:80", "http://example.com", true},
		{"example.com", "http://example.com:80", true},
		{"example.com:443", "https://example.com", true},
		{"example.com", "wss://example.com:443", true},
		{"example.com:80", "ws://example.com", true},
		{"[::1]:9001", "http://[::1]:9001", true},
		{"[::1]", "http://[::1]:80", true},
		{"example.com", "http://other.example", false},
		{"example.com", "http://example.com.other.example", false},
		{"example.com", "http://www.example.com", false},
		{"example.com", "http://example.com:8080", false},
		{"example.com:8080", "http://example.com", false},
		{"example.com:80", "https://example.com", false},
		{"example.com:443", "http://example.com", false},
		{"example.com", "null", false},
		{"example.com", " ", false},
		{"example.com", "example.com", false},
		{"example.com", "://example.com", false},
		{"example.com", "http://", false},
		{"example.com", "http://example.com/", false},
		{"example.com", "http://user@example.com", false},
		{"example.com", "chrome-extension://example.com", false},
		{"example.com", "http://example.com\r\nOrigin: http://example.com", false},
		{":80", "http://:80", true},
	}
	for _, tt := range tests {
		head := "GET / HTTP/1.1\r\nHost: " + tt.host + "\r\n"
		if tt.origin != "" {
			head += "Origin: " + tt.origin + "\r\n"
		}
		var r handshake.Request
		if err := r.Parse([]byte(head + "\r\n")); err != nil {
			t.Fatal(err)
		}
		if got := r.SameOrigin(); got != tt.want {
			t.Errorf("host %q, origin %q: %v", tt.host, tt.origin, got)
		}
	}
}

// The authority of an absolute target stands for the Host field.
func TestSameOriginAbsoluteTarget(t *testing.T) {
	for order, fields := range []string{
		"Host: proxy.example\r\nOrigin: http://a.example\r\n",
		"Origin: http://a.example\r\nHost: proxy.example\r\n",
	} {
		var r handshake.Request
		if err := r.Parse([]byte("GET http://a.example/ HTTP/1.1\r\n" + fields + "\r\n")); err != nil {
			t.Fatal(err)
		}
		if !r.SameOrigin() {
			t.Errorf("order %d: not the same", order)
		}
	}
}
