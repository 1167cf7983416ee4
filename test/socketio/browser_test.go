package socketio

import (
	"fmt"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// bundle is a client that a page loads.
type bundle struct {
	Client     string   `json:"client"`
	URL        string   `json:"url"`
	Transports []string `json:"transports"`
	Only       []string `json:"only,omitempty"` // the checks; none: all
}

// some are the checks of bundles that share most of their code with others.
var some = []string{"sharedConnection", "texts", "binary", "order", "acks", "toOthers", "broadcasts"}

// The bundles that npm's packages bring, in pages of headless Chromium.
func TestChromium(t *testing.T) {
	both(t, func(t *testing.T, by maker) {
		page := testkit.FreePort(t)
		origin := fmt.Sprintf("http://127.0.0.1:%d", page)
		json := sioserver(t, by, "--allow-eio3", "--cors-origin", origin).url()
		msgpack := sioserver(t, by, "--parser", "msgpack", "--cors-origin", origin).url()
		js(t, settings{Suite: "page", Page: page, Browser: true, Bundles: []bundle{
			{"4", json, transports, nil},
			{"msgpack", msgpack, transports, some},
			{"2", json, transports, some},
		}})
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
