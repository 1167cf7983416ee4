package cluster_test

import (
	"bytes"
	"encoding/base64"
	"runtime"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/msgpack"
)

// TestHostile bounds what reading a long message takes, whatever is in it: memory in
// proportion to what arrived (eight dialects read it), and no recursion that it
// decides on.
func TestHostile(t *testing.T) {
	const size = 1 << 16
	fill := func(head, unit, tail string) []byte {
		return []byte(head + strings.Repeat(unit, size/len(unit)) + tail)
	}
	array32 := func(head string, n int, unit string) []byte { // of n units
		return []byte(head + "\xdd" + string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + strings.Repeat(unit, n))
	}
	const (
		broadcast = "\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa1e\x81\xa5rooms"
		fetched   = "\x84\xa4type\x08\xa3uid\xa1u\xa3nsp\xa1/\xa4data\x82\xa9requestId\xa1r\xa7sockets"
		envelope  = `{"type":3,"nsp":"/","uid":"u","data":{"packet":{"type":2,"data":["e"`
	)
	tests := map[string][]byte{
		"rooms of one digit":    array32(broadcast, size, "\x05"),
		"rooms without a name":  array32(broadcast, size, "\xa0"),
		"rooms that are null":   array32(broadcast, size, "\xc0"),
		"a claim of 4 GiB":      []byte(broadcast + "\xdd\xff\xff\xff\xff"),
		"a string of 4 GiB":     []byte("\x93\xdb\xff\xff\xff\xff"),
		"deep arrays":           []byte("\x93\xa1u\x82\xa4type\x02\xa4data" + strings.Repeat("\x91", size) + "\x01\x80"),
		"deep maps":             []byte("\x93\xa1u\x82\xa4type\x02\xa4data" + strings.Repeat("\x81\xa1a", size/3) + "\x01\x80"),
		"control characters":    append([]byte("\x93\xa1u\x82\xa4type\x02\xa4data\x92\xa1e\xdb\x00\x01\x00\x00"), append(bytes.Repeat([]byte{1}, size), 0x80)...),
		"empty binary":          append(array32("\x93\xa1u\x82\xa4type\x02\xa4data\x92\xa1e", size/2, "\xc4\x00"), 0x80),
		"sockets without rooms": array32(fetched, size/5, "\x81\xa2id\xa0"),
		"sockets with ids":      array32(fetched, size/5, "\x81\xa2id\xa1a"[:5]),
		"JSON rooms":            fill(envelope+`]},"opts":{"rooms":[1`, ",1", `]}}}`),
		"JSON deep":             fill(envelope+",", "[", ""),
		"JSON deep and closed":  []byte(envelope + "," + strings.Repeat("[", size/2) + strings.Repeat("]", size/2) + `]},"opts":{}}}`),
		"JSON keys":             fill(envelope+`]},"opts":{"":0`, `,"":0`, `}}}`),
		"JSON escapes":          fill(`{"type":3,"nsp":"`, `\u0000`, `"}`),
		"JSON sockets":          fill(`{"type":8,"nsp":"/","data":{"requestId":"r","sockets":[{"id":"a"}`, `,{"id":"a"}`, `]}}`),
		"not UTF-8":             fill(envelope+`,"`, "\xff", `"]},"opts":{}}}`),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for _, d := range dialects {
				if d.name != "plain entry" {
					_, _ = d.read(b)
				}
			}
			e := cluster.Entry{UID: "u", Namespace: "/", Type: "8", Data: string(b)}
			_, _ = e.Message("1-1")
			e.Data = base64.StdEncoding.EncodeToString(b)
			_, _ = e.Message("1-1")
			_, _ = cluster.ParseSession([]byte(e.Data))
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 300*uint64(len(b))+(64<<10) {
				t.Errorf("%d bytes for %d", took, len(b))
			}
		})
	}
}

// TestWrongShapes has valid values in all the wrong places.
func TestWrongShapes(t *testing.T) {
	values := []any{nil, true, -1, 1.5, int64(1) << 60, "", "x", []byte{1}, []any{}, []any{nil}, []any{map[string]any{}}, map[string]any{}, map[string]any{"rooms": 1}, msgpack.Undefined{}, msgpack.Ext{Type: 5, Data: []byte{1}}}
	members := []string{"type", "data", "uid", "nsp", "requestId", "packet", "opts", "clientCount", "close", "sockets", "rooms", "except", "flags", "id", "sid", "room"}
	for typ := range 14 {
		for _, member := range members {
			for _, v := range values {
				opts := map[string]any{"rooms": []any{"r"}, "except": []any{}, "flags": map[string]any{}}
				inner := map[string]any{"packet": map[string]any{"type": 2, "data": []any{"e"}}, "opts": opts, "rooms": []any{}, "requestId": "r", "sockets": []any{}, "clientCount": 1, "data": []any{"e"}}
				outer := map[string]any{"type": typ, "uid": "u", "nsp": "/", "data": inner}
				for _, m := range []map[string]any{inner, outer, opts} {
					old, had := m[member]
					m[member] = v
					checkRead(t, sharded, packed(t, outer))
					inner["type"] = typ
					b := packed(t, inner)
					checkRead(t, request, b)
					checkRead(t, response, b)
					delete(inner, "type")
					checkRead(t, classic, packed(t, []any{"u", inner["packet"], opts}))
					if delete(m, member); had {
						m[member] = old
					}
				}
			}
		}
	}
}
