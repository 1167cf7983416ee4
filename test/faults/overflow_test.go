package faults

import (
	"encoding/binary"
	"strconv"
	"strings"
	"testing"

	wire "github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// burstScript publishes a payload so often in one turn of the server.
const burstScript = `for i = 1, tonumber(ARGV[2]) do redis.call(ARGV[3], KEYS[1], ARGV[1]) end`

// bulk is the text of a message of a burst, and bursts how many there are.
const bursts = 1000

var bulk = strings.Repeat("x", 4<<10)

// broadcast is one of a node that is not there, to a room with nobody in it.
func broadcast(t *testing.T) *wire.Message {
	t.Helper()
	payload, err := sio.EncodePayload([]any{"bulk", bulk})
	if err != nil {
		t.Fatal(err)
	}
	return &wire.Message{
		Kind: wire.Broadcast, UID: "0123456789abcdef", Namespace: "/",
		Options: wire.Options{Rooms: []string{"nobody"}},
		Packet:  wire.Packet{Type: sio.Event, Payload: payload},
	}
}

// burst fills the connections of all subscribers of a mode.
func burst(t *testing.T, redis *testkit.Redis, m *mode) {
	t.Helper()
	payload, err := []byte(nil), error(nil)
	channel, command := wire.Channels{Prefix: m.name, Namespace: "/"}.Broadcast(), "PUBLISH"
	switch m {
	case classic:
		payload, err = wire.AppendClassicBroadcast(nil, broadcast(t))
	case sharded:
		command = "SPUBLISH"
		payload, err = wire.AppendSharded(nil, broadcast(t))
	case plain:
		channel = "wsd:t:" + m.topic
		payload = append([]byte{1}, "ghostly!\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
		payload = append(binary.BigEndian.AppendUint32(payload, uint32(len(bulk))), bulk...)
	default: // what makes no sense does it as well
		if m.topic != "" {
			channel = "wsd:{t:" + m.topic + "}"
		}
		payload = []byte(bulk)
	}
	if err != nil {
		t.Fatal(err)
	}
	redis.Do("EVAL", burstScript, "1", channel, string(payload), strconv.Itoa(bursts), command)
}

// The server has no room left for what its subscribers are to get, and breaks
// their connections.
func TestOutputBufferOverflow(t *testing.T) {
	redis := testkit.StartRedis(t)
	w := newWorld(t, redis.URL(), everyMode, 2)
	redis.Do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 256kb 0 0")
	for range pick(2, 10) {
		for _, m := range everyMode {
			burst(t, redis, m)
		}
		w.settle("after a burst")
	}
	w.hasGaps(pubsub...)
	w.finish(the(redis))
}
