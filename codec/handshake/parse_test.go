package handshake_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/handshake"
)

// rfc is the handshake of RFC 6455 1.2.
const rfc = "GET /chat HTTP/1.1\r\n" +
	"Host: server.example.com\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Origin: http://example.com\r\n" +
	"Sec-WebSocket-Protocol: chat, superchat\r\n" +
	"Sec-WebSocket-Version: 13\r\n\r\n"

func TestSniff(t *testing.T) {
	tests := map[string]bool{
		"": true, "G": true, "GE": true, "GET": true, "GET ": true, rfc: true, "GET \x00": true,
		"g": false, "get ": false, "GEX": false, "GETX": false, "GET\t": false, "POST / HTTP/1.1": false,
		"\r\nGET ": false, "\x16\x03\x01": false, "PRI * HTTP/2.0": false, " GET ": false,
	}
	for in, want := range tests {
		if got := handshake.Sniff([]byte(in)); got != want {
			t.Errorf("Sniff(%q) = %v", in, got)
		}
	}
}

func TestHeadLen(t *testing.T) {
	tests := []struct {
		name, in string
		want     int
	}{
		{"empty", "", 0},
		{"no end", "GET / HTTP/1.1\r\nHost: a\r\n", 0},
		{"half an end", "GET / HTTP/1.1\r\n\r", 0},
		{"bare line feeds", "GET / HTTP/1.1\n\n", 0},
		{"exact", rfc, len(rfc)},
		{"frames behind", rfc + "\x81\x85\r\n\r\n", len(rfc)},
		{"end alone", "\r\n\r\n", 4},
		{"three", "a\r\n\r\n\r\n", 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for from := range len(tt.in) + 1 {
				if tt.want > 0 && from >= tt.want {
					break // an earlier call would have found it
				}
				if got := handshake.HeadLen([]byte(tt.in), from); got != tt.want {
					t.Errorf("from %d: got %d; want %d", from, got, tt.want)
				}
			}
		})
	}
}

func TestParse(t *testing.T) {
	var r handshake.Request
	head := "GET /chat/%7Broom%7D?token=a%b&x=/?{y} HTTP/1.1\r\n" +
		"host:example.com:8080\r\n" +
		"UPGRADE: \t h2c , WebSocket \t\r\n" +
		"connection:keep-alive,Upgrade\r\n" +
		"Origin: https://example.com\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Protocol: chat\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
		"X-Empty:\r\n" +
		"X-Text: caf\xc3\xa9\tau lait\r\n" +
		"sec-websocket-protocol: superchat, v2\r\n" +
		"Sec-WebSocket-Extensions: x-other\r\n" +
		"Sec-WebSocket-Extensions: x-third\r\n" +
		"Sec-WebSocket-Version: 13\r\n\r\n"
	for round := range 3 {
		if err := r.Parse([]byte(head)); err != nil {
			t.Fatal(err)
		}
		for name, pair := range map[string][2]string{
			"Method":        {string(r.Method), "GET"},
			"Target":        {string(r.Target), "/chat/%7Broom%7D?token=a%b&x=/?{y}"},
			"Path":          {string(r.Path), "/chat/%7Broom%7D"},
			"RawQuery":      {string(r.RawQuery), "token=a%b&x=/?{y}"},
			"Host":          {string(r.Host), "example.com:8080"},
			"Origin":        {string(r.Origin), "https://example.com"},
			"Key":           {string(r.Key), "dGhlIHNhbXBsZSBub25jZQ=="},
			"Protocols":     {string(r.Protocols), "chat, superchat, v2"},
			"Extensions":    {string(r.Extensions), "permessage-deflate; client_max_window_bits, x-other, x-third"},
			"first of many": {string(r.Field("SEC-WEBSOCKET-PROTOCOL")), "chat"},
			"text":          {string(r.Field("x-text")), "caf\xc3\xa9\tau lait"},
			"empty field":   {fmt.Sprint(r.Field("X-Empty") != nil, len(r.Field("X-Empty"))), "true 0"},
			"absent field":  {fmt.Sprint(r.Field("X-Absent") != nil), "false"},
			"upgrade":       {fmt.Sprint(r.IsUpgrade()), "true"},
			"check":         {fmt.Sprint(r.Check()), "<nil>"},
			"fields":        {fmt.Sprint(r.FieldCount()), "13"},
		} {
			if pair[0] != pair[1] {
				t.Errorf("round %d, %s: got %q; want %q", round, name, pair[0], pair[1])
			}
		}
		var each []string
		for value := range r.Each("sec-websocket-extensions") {
			each = append(each, string(value))
			if len(each) == 2 {
				break
			}
		}
		if got := strings.Join(each, "|"); got != "permessage-deflate; client_max_window_bits|x-other" {
			t.Errorf("Each: got %q", got)
		}
		if err := r.Parse([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil || r.Field("Host") != nil || r.Extensions != nil || r.IsUpgrade() {
			t.Errorf("an earlier request shows through: %v, %+v", err, r)
		}
	}
}

func TestFields(t *testing.T) {
	var r handshake.Request
	if err := r.Parse([]byte("GET / HTTP/1.1\r\nB: 1\r\na: 2\r\nB: 3\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var got string
	for name, value := range r.Fields() {
		got += fmt.Sprintf("%s=%s;", name, value)
		if string(value) == "2" {
			break
		}
	}
	if want := "B=1;a=2;"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestParseTargets(t *testing.T) {
	tests := []struct{ target, path, query, host string }{
		{"/", "/", "", "h"},
		{"//double//slash", "//double//slash", "", "h"},
		{"/a?", "/a", "", "h"},
		{"/a?b?c", "/a", "b?c", "h"},
		{`/a|b^c"<>` + "`", `/a|b^c"<>` + "`", "", "h"},
		{"/?bad%zzescape%", "/", "bad%zzescape%", "h"},
		{"http://other.example/x?y", "/x", "y", "other.example"},
		{"HTTPS://other.example:8443", "/", "", "other.example:8443"},
		{"http://other.example?y", "/", "y", "other.example"},
		{"http://[2001:db8::1]:80/x", "/x", "", "[2001:db8::1]:80"},
	}
	for _, tt := range tests {
		var r handshake.Request
		if err := r.Parse([]byte("GET " + tt.target + " HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
			t.Errorf("%q: %v", tt.target, err)
			continue
		}
		if string(r.Path) != tt.path || string(r.RawQuery) != tt.query || string(r.Host) != tt.host {
			t.Errorf("%q: got %q, %q, %q; want %q, %q, %q", tt.target, r.Path, r.RawQuery, r.Host, tt.path, tt.query, tt.host)
		}
	}
}

func TestParseErrors(t *testing.T) {
	line := func(s string) string { return s + "\r\nHost: h\r\n\r\n" }
	fields := func(s string) string { return "GET / HTTP/1.1\r\nHost: h\r\n" + s + "\r\n\r\n" }
	tests := []struct {
		name, head string
		want       *handshake.Error
		status     int
	}{
		{"empty", "", handshake.ErrHead, 400},
		{"no empty line", "GET / HTTP/1.1\r\nHost: h\r\n", handshake.ErrHead, 400},
		{"bytes behind the head", fields("A: b") + "x\r\n", handshake.ErrHead, 400},
		{"empty line first", "\r\n" + line("GET / HTTP/1.1"), handshake.ErrRequestLine, 400},
		{"bare LF", "GET / HTTP/1.1\nHost: h\r\n\r\n", handshake.ErrLineEnd, 400},
		{"bare LF in a field", fields("A: b\nC: d"), handshake.ErrLineEnd, 400},
		{"bare LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\n", handshake.ErrLineEnd, 400},
		{"bare CR in a value", fields("A: b\rC: d"), handshake.ErrFieldValue, 400},
		{"CR CR LF", fields("A: b\r"), handshake.ErrFieldValue, 400},
		{"one word", line("GET"), handshake.ErrRequestLine, 400},
		{"HTTP/0.9", line("GET /"), handshake.ErrRequestLine, 400},
		{"two spaces before the target", line("GET  / HTTP/1.1"), handshake.ErrTarget, 400},
		{"two spaces behind the target", line("GET /  HTTP/1.1"), handshake.ErrTarget, 400},
		{"tab for space", line("GET\t/ HTTP/1.1"), handshake.ErrRequestLine, 400},
		{"space behind the version", line("GET / HTTP/1.1 "), handshake.ErrRequestLine, 400},
		{"method with a colon", line("GE:T / HTTP/1.1"), handshake.ErrRequestLine, 400},
		{"lower case version", line("GET / http/1.1"), handshake.ErrRequestLine, 400},
		{"long version", line("GET / HTTP/1.10"), handshake.ErrRequestLine, 400},
		{"version without minor", line("GET / HTTP/11"), handshake.ErrRequestLine, 400},
		{"version with a letter", line("GET / HTTP/1.x"), handshake.ErrRequestLine, 400},
		{"version with a colon", line("GET / HTTP/:.1"), handshake.ErrRequestLine, 400},
		{"empty target", line("GET  HTTP/1.1"), handshake.ErrTarget, 400},
		{"relative target", line("GET chat HTTP/1.1"), handshake.ErrTarget, 400},
		{"asterisk", line("GET * HTTP/1.1"), handshake.ErrTarget, 400},
		{"authority form", line("GET host:80 HTTP/1.1"), handshake.ErrTarget, 400},
		{"fragment", line("GET /a#b HTTP/1.1"), handshake.ErrTarget, 400},
		{"NUL in the target", line("GET /\x00 HTTP/1.1"), handshake.ErrTarget, 400},
		{"DEL in the target", line("GET /\x7f HTTP/1.1"), handshake.ErrTarget, 400},
		{"raw UTF-8 in the target", line("GET /é HTTP/1.1"), handshake.ErrTarget, 400},
		{"bad escape in the path", line("GET /%zz HTTP/1.1"), handshake.ErrTarget, 400},
		{"cut escape in the path", line("GET /a%2?b HTTP/1.1"), handshake.ErrTarget, 400},
		{"other scheme", line("GET ftp://h/ HTTP/1.1"), handshake.ErrTarget, 400},
		{"no authority", line("GET http:///x HTTP/1.1"), handshake.ErrTarget, 400},
		{"user in the authority", line("GET http://u@h/ HTTP/1.1"), handshake.ErrTarget, 400},
		{"port with letters", line("GET http://h:80x/ HTTP/1.1"), handshake.ErrTarget, 400},
		{"open bracket", line("GET http://[::1/ HTTP/1.1"), handshake.ErrTarget, 400},
		{"bytes behind a bracket", line("GET http://[::1]x/ HTTP/1.1"), handshake.ErrTarget, 400},
		{"IPv4 in brackets", line("GET http://[127.0.0.1]/ HTTP/1.1"), handshake.ErrTarget, 400},
		{"zone in brackets", line("GET http://[fe80::1%25eth0]/ HTTP/1.1"), handshake.ErrTarget, 400},
		{"folded line", fields("A: b\r\n c"), handshake.ErrFolded, 400},
		{"folded by a tab", fields("A: b\r\n\tc"), handshake.ErrFolded, 400},
		{"first field folded", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", handshake.ErrFolded, 400},
		{"no colon", fields("Abc"), handshake.ErrFieldName, 400},
		{"empty name", fields(": b"), handshake.ErrFieldName, 400},
		{"space before the colon", fields("A : b"), handshake.ErrFieldName, 400},
		{"tab before the colon", fields("A\t: b"), handshake.ErrFieldName, 400},
		{"space in the name", fields("A b: c"), handshake.ErrFieldName, 400},
		{"NUL in the name", fields("A\x00: c"), handshake.ErrFieldName, 400},
		{"UTF-8 in the name", fields("É: c"), handshake.ErrFieldName, 400},
		{"NUL in a value", fields("A: b\x00c"), handshake.ErrFieldValue, 400},
		{"DEL in a value", fields("A: a value that is longer\x7f"), handshake.ErrFieldValue, 400},
		{"escape in a value", fields("A: a value that is\x1b longer than a word"), handshake.ErrFieldValue, 400},
		{"too many", fields(strings.Repeat("A: b\r\n", handshake.MaxFields) + "A: b"), handshake.ErrTooManyFields, 431},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r handshake.Request
			if err := r.Parse([]byte(tt.head)); err != tt.want {
				t.Fatalf("got %v; want %v", err, tt.want)
			}
			if tt.want.Status != tt.status {
				t.Errorf("status %d; want %d", tt.want.Status, tt.status)
			}
		})
	}
}

func TestParseMostFields(t *testing.T) {
	var r handshake.Request
	head := "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", handshake.MaxFields) + "\r\n"
	if err := r.Parse([]byte(head)); err != nil || r.FieldCount() != handshake.MaxFields {
		t.Errorf("got %v, %d fields", err, r.FieldCount())
	}
}

// Every byte value in every place where only some are allowed.
func TestParseBytes(t *testing.T) {
	token := "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for i := range 256 {
		c := string([]byte{byte(i)})
		places := []struct {
			name, head string
			want       bool
		}{
			{"method", "G" + c + "T / HTTP/1.1\r\n\r\n", strings.Contains(token, c)},
			{"target", "GET /a?" + c + " HTTP/1.1\r\n\r\n", i > ' ' && i < 0x7f && c != "#"},
			{"name", "GET / HTTP/1.1\r\nA" + c + "B: x\r\n\r\n", strings.Contains(token, c) || c == ":"},
			{"value", "GET / HTTP/1.1\r\nA: long enough " + c + " for words\r\n\r\n", i >= ' ' && i != 0x7f || c == "\t"},
			{"short value", "GET / HTTP/1.1\r\nA: x" + c + "y\r\n\r\n", i >= ' ' && i != 0x7f || c == "\t"},
		}
		for _, p := range places {
			var r handshake.Request
			if err := r.Parse([]byte(p.head)); (err == nil) != p.want {
				t.Errorf("%q in a %s: %v", c, p.name, err)
			}
		}
	}
}
