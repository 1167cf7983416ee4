package frame_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/fe4bcecb/wsd/codec/frame"
)

func TestValidCode(t *testing.T) {
	registered := map[int]bool{
		1000: true, 1001: true, 1002: true, 1003: true, 1007: true, 1008: true, 1009: true,
		1010: true, 1011: true, 1012: true, 1013: true, 1014: true,
	}
	for code := range math.MaxUint16 + 1 {
		want := registered[code] || 3000 <= code && code < 5000
		if got := frame.ValidCode(frame.StatusCode(code)); got != want {
			t.Errorf("ValidCode(%d) = %v", code, got)
		}
	}
}

func TestParseClose(t *testing.T) {
	tests := []struct {
		name, in string
		code     frame.StatusCode
		reason   string
		err      *frame.ProtocolError
		answer   frame.StatusCode
	}{
		{"empty", "", ws.StatusNoStatusRcvd, "", nil, 0},
		{"one byte", "\x03", 0, "", frame.ErrCloseLength, 1002},
		{"code alone", "\x03\xe8", 1000, "", nil, 0},
		{"code and reason", "\x03\xe9bye", 1001, "bye", nil, 0},
		{"longest", "\x0f\xa0" + strings.Repeat("r", 123), 4000, strings.Repeat("r", 123), nil, 0},
		{"UTF-8", "\x03\xe8grüße", 1000, "grüße", nil, 0},
		{"code 0", "\x00\x00", 0, "", frame.ErrCloseCode, 1002},
		{"code 999", "\x03\xe7", 999, "", frame.ErrCloseCode, 1002},
		{"code 1005", "\x03\xed", 1005, "", frame.ErrCloseCode, 1002},
		{"code 1006", "\x03\xee", 1006, "", frame.ErrCloseCode, 1002},
		{"code 1015", "\x03\xf7", 1015, "", frame.ErrCloseCode, 1002},
		{"code 2999", "\x0b\xb7", 2999, "", frame.ErrCloseCode, 1002},
		{"code 5000", "\x13\x88", 5000, "", frame.ErrCloseCode, 1002},
		{"code 65535", "\xff\xff", 65535, "", frame.ErrCloseCode, 1002},
		{"bad UTF-8", "\x03\xe8a\xff", 1000, "", frame.ErrCloseReason, 1007},
		{"unfinished UTF-8", "\x03\xe8\xe2\x82", 1000, "", frame.ErrCloseReason, 1007},
		{"bad code before bad UTF-8", "\x03\xed\xff", 1005, "", frame.ErrCloseCode, 1002},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, reason, err := frame.ParseClose([]byte(tt.in))
			if tt.err != nil {
				if err != tt.err || code != tt.code || reason != nil || tt.err.Code != tt.answer {
					t.Fatalf("got %d, %q, %v; want %d and %v with %d", code, reason, err, tt.code, tt.err, tt.answer)
				}
				return
			}
			if code != tt.code || string(reason) != tt.reason || err != nil {
				t.Fatalf("got %d, %q, %v; want %d, %q", code, reason, err, tt.code, tt.reason)
			}
		})
	}
}

func TestAppendClose(t *testing.T) {
	long := strings.Repeat("0123456789", 13)
	tests := []struct {
		name   string
		code   frame.StatusCode
		reason string
		want   string
	}{
		{"code and reason", 1000, "bye", "\x03\xe8bye"},
		{"code alone", 1001, "", "\x03\xe9"},
		{"no status", ws.StatusNoStatusRcvd, "lost", ""},
		{"none", 0, "lost", ""},
		{"not for the wire", ws.StatusAbnormalClosure, "lost", ""},
		{"long", 1008, long, "\x03\xf0" + long[:123]},
		{"long, cut at a rune", 1008, long[:122] + "€", "\x03\xf0" + long[:122]},
		{"long, rune fits", 1008, long[:120] + "€x", "\x03\xf0" + long[:120] + "€"},
		{"not UTF-8", 1008, "good\xffbad", "\x03\xf0good"},
		{"replacement rune", 1008, "a\ufffdb", "\x03\xf0a\ufffdb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := frame.AppendClose([]byte("dst"), tt.code, tt.reason)
			if string(got) != "dst"+tt.want {
				t.Fatalf("got %q; want %q", got, "dst"+tt.want)
			}
			payload := bytes.TrimPrefix(got, []byte("dst"))
			if len(payload) > frame.MaxControlPayload {
				t.Errorf("%d bytes of payload", len(payload))
			}
			if _, _, err := frame.ParseClose(payload); err != nil {
				t.Errorf("ParseClose: %v", err)
			}
		})
	}
}
