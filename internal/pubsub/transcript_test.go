package pubsub_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/pubsub"
)

// changing are the values that are others in each run.
var changing = regexp.MustCompile(`"(?:offset|connection)":"[^"]*"`)

// TestTranscript replays the transcript of docs/protocol.md.
func TestTranscript(t *testing.T) {
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, transcript, ok := strings.Cut(string(page), "```wsd.json.v1\n")
	transcript, _, closed := strings.Cut(transcript, "```")
	if !ok || !closed {
		t.Fatal("docs/protocol.md has no transcript")
	}
	n := start(t, &broker.Memory{Durable: durable(3)}, func(o *pubsub.Options) { o.Members = &broker.MemoryTopicMembers{} })
	clients, values := map[string]*client{}, map[string]string{}
	replay := func(line string) string {
		return changing.ReplaceAllStringFunc(line, func(v string) string {
			if actual, known := values[v]; known {
				return actual
			}
			return v
		})
	}
	for line := range strings.Lines(transcript) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		who, rest, _ := strings.Cut(line, " ")
		direction, text, _ := strings.Cut(rest, " ")
		if clients[who] == nil {
			clients[who] = n.dial("/?user=" + strings.TrimRight(who, "2"))
		}
		if direction == ">" {
			clients[who].send("%s", replay(text))
			continue
		}
		got := clients[who].text()
		want, is := changing.FindAllString(text, -1), changing.FindAllString(got, -1)
		if len(want) == len(is) {
			for i, v := range want {
				if _, known := values[v]; !known {
					values[v] = is[i]
				}
			}
		}
		if got != replay(text) {
			t.Fatalf("%s\ngot %s", line, got)
		}
	}
}
