package socketio

import (
	"fmt"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// only are the checks of bundles that share most of their code with others.
var only = map[string][]string{
	"2":       {"sharedConnection", "texts", "binary", "order", "acks", "toOthers", "broadcasts"},
	"3":       {"sharedConnection", "texts", "binary", "order", "acks", "toOthers", "broadcasts"},
	"msgpack": {"sharedConnection", "texts", "binary", "order", "acks", "toOthers", "broadcasts"},
}

// The bundles that npm's packages bring, in pages of headless Chromium.
func TestChromium(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		for _, client := range append([]string{"msgpack"}, clients...) {
			t.Run(client, func(t *testing.T) {
				page := testkit.FreePort(t)
				parser := "json"
				if client == "msgpack" {
					parser = client
				}
				s := sioserver(t, by, "--allow-eio3", "--parser", parser, "--cors-origin", fmt.Sprintf("http://127.0.0.1:%d", page))
				js(t, settings{Suite: "page", Client: client, Only: only[client], URL: s.url(), Page: page, Browser: true})
			})
		}
	})
}

func TestChromiumForeignOrigin(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		page := testkit.FreePort(t)
		s := sioserver(t, by, "--cors-origin", fmt.Sprintf("http://127.0.0.1:%d", page))
		js(t, settings{Suite: "foreignPage", Client: "4", URL: s.url(), Page: page, Browser: true})
	})
}

// The chat server of docs/examples compiles, and its page works: what is said in
// one all show.
func TestChatExample(t *testing.T) {
	t.Parallel()
	js(t, settings{Suite: "chat", URL: chat(t).url(), Browser: true})
}
