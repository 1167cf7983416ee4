package vectors

import (
	"maps"
	"slices"
	"testing"
)

// notReplayed says of transcripts why they are not.
var notReplayed = map[string]string{
	"JS client: WebSocket accepted, then closed with 1008 'Server at capacity' BEFORE the open packet (client hangs until its timeout)": notOurServer,
	"JS client: open packet sent, then closed with 1008 'Server at capacity'":                                                           notOurServer,
	"JS client: open + CONNECT answered, closed with 1008 'Server at capacity' 20 ms later":                                             notOurServer,
	"JS client: WebSocket accepted, then closed with 1013 'try again later' BEFORE the open packet (client hangs until its timeout)":    notOurServer,
	"JS client: open packet sent, then closed with 1013 'try again later'":                                                              notOurServer,
	"JS client: open + CONNECT answered, closed with 1013 'try again later' 20 ms later":                                                notOurServer,
	"JS client: HTTP 503 instead of the 101":                                                                                            notOurServer,
	"JS client: open, then CONNECT_ERROR {message:'Server at capacity'} (no automatic reconnection)":                                    notOurServer,
	"JS client: open, CONNECT answered, then 41 (DISCONNECT) and close 1000":                                                            notOurServer,
	"JS client: 503 on the polling handshake":                                                                                           notOurServer,
	"JS client: 403 JSON on the polling handshake":                                                                                      notOurServer,
}

const notOurServer = "it shows what the JS client makes of a server that is not Socket.IO's; no server is under test"

// Every entry of a table belongs to a transcript, and every transcript has a
// replay or a reason.
func TestTables(t *testing.T) {
	names := map[string]bool{}
	add := func(v transcript, frames bool) {
		if names[v.Name] {
			t.Errorf("two transcripts %q", v.Name)
		}
		names[v.Name] = true
		if !frames && notReplayed[v.Name] == "" {
			t.Errorf("nothing replays %q", v.Name)
		}
	}
	engine := loadEngine(t)
	for _, v := range engine.HTTP {
		add(v.transcript, len(v.Steps) > 0)
	}
	for _, v := range engine.Websocket {
		add(v.transcript, len(v.Events) > 0)
	}
	for _, v := range engine.Upgrade {
		add(v.transcript, upgradeCases[v.Name].play != nil)
	}
	for _, v := range loadSessions(t).Sessions {
		add(v.transcript, len(v.Frames)+len(v.EnginePackets) > 0 || sessionCases[v.Name].play != nil)
	}
	if want := 59 + 25 + 8 + 68; len(names) != want {
		t.Errorf("%d transcripts, want %d", len(names), want)
	}
	checkNames(t, names, "httpCases", httpCases)
	checkNames(t, names, "websocketCases", websocketCases)
	checkNames(t, names, "upgradeCases", upgradeCases)
	checkNames(t, names, "sessionCases", sessionCases)
	checkNames(t, names, "notReplayed", notReplayed)
	checkNames(t, names, "deviations", deviations)
	for name, d := range deviations {
		if d.why == "" {
			t.Errorf("deviations[%q] does not say why", name)
		}
		if notReplayed[name] != "" {
			t.Errorf("%q deviates, and is not replayed", name)
		}
	}
}

func checkNames[V any](t *testing.T, names map[string]bool, table string, entries map[string]V) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		if !names[name] {
			t.Errorf("%s[%q]: no such transcript", table, name)
		}
	}
}
