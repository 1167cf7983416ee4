package handshake_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/handshake"
)

const rfcKey = "dGhlIHNhbXBsZSBub25jZQ=="

func TestAcceptKey(t *testing.T) {
	if got, want := string(handshake.AcceptKey([]byte(">"), []byte(rfcKey))), ">s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want {
		t.Errorf("got %q; want %q", got, want) // RFC 6455 1.3
	}
}

func TestAppendResponse(t *testing.T) {
	const start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	tests := []struct {
		name, subprotocol, extensions string
		extra                         []handshake.Field
		want                          string
	}{
		{"plain", "", "", nil, start + "\r\n"},
		{"subprotocol", "chat", "", nil, start + "Sec-WebSocket-Protocol: chat\r\n\r\n"},
		{
			"all", "chat", "permessage-deflate; server_no_context_takeover",
			[]handshake.Field{{Name: "Set-Cookie", Value: "a=b; Path=/"}, {Name: "Set-Cookie", Value: "c=\td"}, {Name: "X-Empty"}},
			start + "Sec-WebSocket-Protocol: chat\r\n" +
				"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n" +
				"Set-Cookie: a=b; Path=/\r\nSet-Cookie: c=\td\r\nX-Empty: \r\n\r\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := handshake.AppendResponse([]byte("dst"), []byte(rfcKey), []byte(tt.subprotocol), []byte(tt.extensions), tt.extra)
			if err != nil || string(got) != "dst"+tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestAppendResponseErrors(t *testing.T) {
	field := func(name, value string) []handshake.Field {
		return []handshake.Field{{Name: "X-Good", Value: "yes"}, {Name: name, Value: value}}
	}
	tests := []struct {
		name, subprotocol, extensions string
		extra                         []handshake.Field
		want                          *handshake.Error
	}{
		{"subprotocol with CRLF", "chat\r\nX: y", "", nil, handshake.ErrSubprotocol},
		{"subprotocol list", "chat, superchat", "", nil, handshake.ErrSubprotocol},
		{"extension with CRLF", "", "x\r\nX: y", nil, handshake.ErrResponseField},
		{"CR in a value", "", "", field("X", "a\rb"), handshake.ErrResponseField},
		{"LF in a value", "", "", field("X", "a\nb"), handshake.ErrResponseField},
		{"NUL in a value", "", "", field("X", "a\x00b"), handshake.ErrResponseField},
		{"CRLF in a name", "", "", field("X\r\nY", "a"), handshake.ErrResponseField},
		{"colon in a name", "", "", field("X:", "a"), handshake.ErrResponseField},
		{"empty name", "", "", field("", "a"), handshake.ErrResponseField},
		{"Upgrade", "", "", field("upgrade", "h2c"), handshake.ErrResponseReserved},
		{"Connection", "", "", field("Connection", "close"), handshake.ErrResponseReserved},
		{"Content-Length", "", "", field("content-length", "5"), handshake.ErrResponseReserved},
		{"Transfer-Encoding", "", "", field("Transfer-Encoding", "chunked"), handshake.ErrResponseReserved},
		{"accept", "", "", field("Sec-Websocket-Accept", "x"), handshake.ErrResponseReserved},
		{"version", "", "", field("Sec-WebSocket-Version", "13"), handshake.ErrResponseReserved},
		{"protocol", "", "", field("Sec-WebSocket-Protocol", "x"), handshake.ErrResponseReserved},
		{"extensions", "", "", field("Sec-WebSocket-Extensions", "x"), handshake.ErrResponseReserved},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := handshake.AppendResponse([]byte("dst"), []byte(rfcKey), []byte(tt.subprotocol), []byte(tt.extensions), tt.extra)
			if err != tt.want || string(got) != "dst" {
				t.Errorf("got %q, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestAppendError(t *testing.T) {
	const plain = "Content-Type: text/plain; charset=utf-8\r\n"
	tests := []struct {
		name   string
		status int
		fields []handshake.Field
		body   string
		want   string
	}{
		{"400", 400, nil, "bad", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n" + plain + "Content-Length: 3\r\n\r\nbad"},
		{"405", 405, []handshake.Field{{Name: "Allow", Value: "PUT"}}, "", "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nConnection: close\r\n" + plain + "Content-Length: 0\r\n\r\n"},
		{"426", 426, nil, "", "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n" + plain + "Content-Length: 0\r\n\r\n"},
		{"unknown", 599, nil, "", "HTTP/1.1 599 \r\nConnection: close\r\n" + plain + "Content-Length: 0\r\n\r\n"},
		{"204", 204, nil, "dropped", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"},
		{"too low", 101, nil, "x", "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n" + plain + "Content-Length: 1\r\n\r\nx"},
		{"too high", 1000, nil, "x", "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n" + plain + "Content-Length: 1\r\n\r\nx"},
		{
			"fields", 401,
			[]handshake.Field{
				{Name: "WWW-Authenticate", Value: "Bearer"}, {Name: "X", Value: "a\r\nY: b"}, {Name: "Y\n", Value: "z"},
				{Name: "content-type", Value: "application/json"}, {Name: "Content-Length", Value: "99"},
				{Name: "Connection", Value: "keep-alive"},
			},
			"{}", "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nWWW-Authenticate: Bearer\r\ncontent-type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(handshake.AppendError([]byte("dst"), tt.status, tt.fields, tt.body)); got != "dst"+tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// Reason phrases are those of net/http, where there are any.
func TestAppendErrorReasons(t *testing.T) {
	known := 0
	for status := 200; status < 1000; status++ {
		line, _, _ := strings.Cut(string(handshake.AppendError(nil, status, nil, "")), "\r\n")
		phrase := strings.SplitN(line, " ", 3)[2]
		if phrase != "" {
			known++
		}
		if phrase != "" && phrase != http.StatusText(status) {
			t.Errorf("%d: %q; net/http says %q", status, phrase, http.StatusText(status))
		}
	}
	if known < 20 {
		t.Errorf("%d phrases", known)
	}
}
