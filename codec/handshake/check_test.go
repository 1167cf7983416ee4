package handshake_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/handshake"
)

func TestCheck(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(rfc, old) {
			t.Fatalf("no %q in the handshake", old)
		}
		return strings.Replace(rfc, old, new, 1)
	}
	without := func(name string) string {
		i := strings.Index(rfc, name+":")
		return rfc[:i] + rfc[i+strings.Index(rfc[i:], "\n")+1:]
	}
	add := func(field string) string { return replace("\r\n\r\n", "\r\n"+field+"\r\n\r\n") }
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

	tests := []struct {
		name, head string
		want       *handshake.Error
		status     int
	}{
		{"RFC 6455 1.2", rfc, nil, 0},
		{"HTTP/1.2", replace("HTTP/1.1", "HTTP/1.2"), nil, 0},
		{"other case", replace("Upgrade: websocket\r\nConnection: Upgrade", "upgrade: WebSocket\r\nCONNECTION: uPGRADE"), nil, 0},
		{"lists", replace("Upgrade: websocket\r\nConnection: Upgrade", "Upgrade: h2c,websocket\r\nConnection: , keep-alive ,, Upgrade,"), nil, 0},
		{"two Connection fields", add("Connection: keep-alive"), nil, 0},
		{"Content-Length 0", add("Content-Length: 0"), nil, 0},
		{"host with port", replace("server.example.com", "server.example.com:9001"), nil, 0},
		{"host with empty port", replace("server.example.com", "server.example.com:"), nil, 0},
		{"IPv6 host", replace("server.example.com", "[::1]:9001"), nil, 0},
		{"host with underscore", replace("server.example.com", "my_service"), nil, 0},
		{"absolute target", replace("/chat", "http://other.example/chat"), nil, 0},
		{"POST", replace("GET", "POST"), handshake.ErrMethod, 405},
		{"lower case get", replace("GET", "get"), handshake.ErrMethod, 405},
		{"HTTP/1.0", replace("HTTP/1.1", "HTTP/1.0"), handshake.ErrOldHTTP, 426},
		{"HTTP/0.9", replace("HTTP/1.1", "HTTP/0.9"), handshake.ErrHTTPVersion, 505},
		{"HTTP/2.0", replace("HTTP/1.1", "HTTP/2.0"), handshake.ErrHTTPVersion, 505},
		{"no Host", without("Host"), handshake.ErrHost, 400},
		{"no Host with an absolute target", strings.Replace(without("Host"), "/chat", "http://h/chat", 1), handshake.ErrHost, 400},
		{"two Hosts", add("Host: server.example.com"), handshake.ErrHost, 400},
		{"empty Host", replace("server.example.com", ""), handshake.ErrHost, 400},
		{"two names in Host", replace("server.example.com", "a, b"), handshake.ErrHost, 400},
		{"user in Host", replace("server.example.com", "u@h"), handshake.ErrHost, 400},
		{"path in Host", replace("server.example.com", "h/x"), handshake.ErrHost, 400},
		{"bad port in Host", replace("server.example.com", "h:-1"), handshake.ErrHost, 400},
		{"port alone", replace("server.example.com", ":80"), handshake.ErrHost, 400},
		{"bad IPv6 host", replace("server.example.com", "[::::]"), handshake.ErrHost, 400},
		{"Content-Length", add("Content-Length: 5"), handshake.ErrBody, 400},
		{"Content-Length of two values", add("Content-Length: 0, 5"), handshake.ErrBody, 400},
		{"Content-Length with a sign", add("Content-Length: +0"), handshake.ErrBody, 400},
		{"empty Content-Length", add("Content-Length:"), handshake.ErrBody, 400},
		{"two Content-Lengths", add("Content-Length: 0\r\ncontent-length: 0"), handshake.ErrBody, 400},
		{"Transfer-Encoding", add("Transfer-Encoding: chunked"), handshake.ErrBody, 400},
		{"Transfer-Encoding in disguise", add("transfer-encoding: xchunked"), handshake.ErrBody, 400},
		{"no Upgrade", without("Upgrade"), handshake.ErrUpgrade, 426},
		{"other Upgrade", replace("websocket", "h2c"), handshake.ErrUpgrade, 426},
		{"Upgrade with more letters", replace("websocket", "websockets"), handshake.ErrUpgrade, 426},
		{"Upgrade with a version", replace("websocket", "websocket/13"), handshake.ErrUpgrade, 426},
		{"no Connection", without("Connection"), handshake.ErrConnection, 400},
		{"Connection: close", replace("Connection: Upgrade", "Connection: close"), handshake.ErrConnection, 400},
		{"Connection with other words", replace("Connection: Upgrade", "Connection: no-upgrade, upgrade2"), handshake.ErrConnection, 400},
		{"no version", without("Sec-WebSocket-Version"), handshake.ErrVersion, 426},
		{"version 8", replace("Version: 13", "Version: 8"), handshake.ErrVersion, 426},
		{"version 013", replace("Version: 13", "Version: 013"), handshake.ErrVersion, 426},
		{"versions in a list", replace("Version: 13", "Version: 13, 8"), handshake.ErrVersion, 426},
		{"two versions", add("Sec-WebSocket-Version: 13"), handshake.ErrVersions, 400},
		{"no key", without("Sec-WebSocket-Key"), handshake.ErrKey, 400},
		{"two keys", add(key), handshake.ErrKey, 400},
		{"empty key", replace(key, "Sec-WebSocket-Key:"), handshake.ErrKey, 400},
		{"key of 15 bytes", replace("NhbXBsZSBub25jZQ==", "NhbXBsZSBub25jZQ=="[2:]), handshake.ErrKey, 400},
		{"key without padding", replace("jZQ==", "jZQ"), handshake.ErrKey, 400},
		{"key of 18 bytes", replace("jZQ==", "jZQaa"), handshake.ErrKey, 400},
		{"key of 17 bytes", replace("jZQ==", "jZQa="), handshake.ErrKey, 400},
		{"key in another alphabet", replace("dGhl", "dG-_"), handshake.ErrKey, 400},
		{"padding inside the key", replace("dGhl", "dG=l"), handshake.ErrKey, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r handshake.Request
			if err := r.Parse([]byte(tt.head)); err != nil {
				t.Fatal(err)
			}
			err := r.Check()
			if tt.want == nil {
				if err != nil || !r.IsUpgrade() {
					t.Fatalf("got %v, IsUpgrade %v", err, r.IsUpgrade())
				}
				return
			}
			if err != tt.want || tt.want.Status != tt.status {
				t.Fatalf("got %v; want %v with status %d", err, tt.want, tt.status)
			}
		})
	}
}

func TestIsUpgrade(t *testing.T) {
	tests := map[string]bool{
		"Upgrade: websocket":                 true,
		"upgrade:WEBSOCKET":                  true,
		"Upgrade: h2c\r\nUpgrade: webSocket": true,
		"Upgrade: h2c, websocket":            true,
		"Upgrade: h2c":                       false,
		"Upgrade:":                           false,
		"Connection: websocket":              false,
		"X-Upgrade: websocket":               false,
	}
	for fields, want := range tests {
		var r handshake.Request
		if err := r.Parse([]byte("GET / HTTP/1.1\r\n" + fields + "\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if r.IsUpgrade() != want {
			t.Errorf("%q: %v", fields, r.IsUpgrade())
		}
	}
}

func TestError(t *testing.T) {
	var err error = handshake.ErrVersion
	if got, want := err.Error(), "handshake: Sec-WebSocket-Version 13 required (RFC 6455 4.2.2)"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	var e *handshake.Error
	if !errors.As(err, &e) || e.Status != 426 {
		t.Errorf("got %+v", e)
	}
}
