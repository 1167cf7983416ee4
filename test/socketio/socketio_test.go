package socketio

import (
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/test/wsdproc"
)

func TestClients(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		url := sioserver(t, by, "--allow-eio3").url()
		for _, client := range clients {
			t.Run(client, func(t *testing.T) {
				js(t, settings{Suite: "common", Client: client, URL: url})
			})
		}
	})
}

func TestMsgpackParser(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		js(t, settings{Suite: "common", Client: "msgpack", URL: sioserver(t, by, "--parser", "msgpack").url()})
	})
}

func TestEngineIO(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		js(t, settings{Suite: "engine", URL: sioserver(t, by).url()})
	})
}

func TestReconnection(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		url := sioserver(t, by, "--allow-eio3").url()
		for _, client := range clients {
			t.Run(client, func(t *testing.T) {
				js(t, settings{Suite: "reconnection", Client: client, URL: url})
			})
		}
	})
}

// A poller between two polls is missed by its pong only, so these ping often.
var attentive = []string{"--ping-interval", "500ms", "--ping-timeout", "3s"}

func TestRecovery(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		js(t, settings{Suite: "recovery", URL: sioserver(t, by, append(attentive, "--recovery", "1m")...).url()})
	})
}

func TestRecoveryExpires(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		js(t, settings{Suite: "expired", URL: sioserver(t, by, append(attentive, "--recovery", "300ms")...).url()})
	})
}

func TestMaxPayload(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		url := sioserver(t, by, "--allow-eio3", "--max-payload", "100000").url()
		for _, client := range clients {
			t.Run(client, func(t *testing.T) {
				js(t, settings{Suite: "limits", Client: client, URL: url})
			})
		}
		t.Run("msgpack", func(t *testing.T) {
			url := sioserver(t, by, "--parser", "msgpack", "--max-payload", "100000").url()
			js(t, settings{Suite: "limits", Client: "msgpack", URL: url})
		})
	})
}

func TestHeartbeat(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		s := sioserver(t, by, "--allow-eio3", "--ping-interval", "200ms", "--ping-timeout", "4s")
		for _, client := range clients {
			t.Run(client, func(t *testing.T) {
				js(t, settings{Suite: "heartbeat", Client: client, URL: s.url()})
				js(t, settings{
					Suite: "silence", Client: client, URL: s.url(), PID: s.cmd.Process.Pid,
					Transports: []string{"all"}, Every: transports,
				})
			})
		}
	})
}

func TestPath(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		url := sioserver(t, by, "--allow-eio3", "--path", "/some/where/", "--connect-timeout", "3s").url()
		for _, client := range clients {
			t.Run(client, func(t *testing.T) {
				js(t, settings{Suite: "path", Client: client, URL: url})
			})
		}
	})
}

// A thousand clients connect by polling and upgrade while messages flow in both
// directions: none is lost, doubled or out of order.
func TestStorm(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		js(t, settings{
			Suite: "storm", URL: sioserver(t, by, "--patient").url(), Transports: []string{"upgrade"},
			Clients: 1000, Limit: suiteTimeout.Milliseconds(),
		})
	})
}

// A client whose server is Node's at first, then wsd, then Node's again, finds
// the same each time.
func TestMovedFromNode(t *testing.T) {
	for _, client := range clients {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			for _, transport := range transports {
				by := node
				s := sioserver(t, by, "--allow-eio3")
				js(t, settings{
					Suite: "moved", Client: client, URL: s.url(), Transports: []string{transport},
					Limit: time.Minute.Milliseconds(),
					Order: func(t *testing.T, _ string) {
						s.stop(t)
						by = map[maker]maker{node: wsd, wsd: node}[by]
						s = start(t, s.port, by, "sioserver", "reference.mjs", "--allow-eio3")
					},
				})
			}
		})
	}
}

// What an application can do, on the server of package extra.
func TestApplication(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		url := extra(t, by, "--allow-eio3").url()
		for _, client := range clients {
			t.Run(client, func(t *testing.T) {
				js(t, settings{Suite: "extra", Client: client, URL: url})
			})
		}
	})
}

// The app of wsd serve, which Node has nothing to compare with.
func TestServe(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	modules(t)
	p := wsdproc.Start(t, "serve", "--drain-lb-wait", "0s", "--allow-eio3", "--jwt-secret", secret, "--token-query", "token", "--jwt-leeway", "0s",
		"--sio-allow-join", "room/*", "--sio-relay", "say=room/*", "--client-dir", "node_modules/socket.io-client/dist")
	for _, client := range clients {
		t.Run(client, func(t *testing.T) {
			js(t, settings{Suite: "serve", Client: client, URL: "http://" + p.Addr, Secret: secret})
		})
	}
	p.Alive(t)
}
