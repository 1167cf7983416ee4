package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/auth"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

const (
	sioSocket  = "/socket.io/?EIO=4&transport=websocket"
	sioPolling = "/socket.io/?EIO=4&transport=polling"
	testSecret = "0123456789abcdef0123456789abcdef"
)

// token is one for ann, changed by the functions.
func token(t *testing.T, change ...func(*auth.Grant)) string {
	t.Helper()
	g := auth.Grant{User: "ann", Expires: time.Now().Add(time.Hour)}
	for _, fn := range change {
		fn(&g)
	}
	text, err := auth.Mint([]byte(testSecret), g)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func user(id string) func(*auth.Grant) { return func(g *auth.Grant) { g.User = id } }

// sioClient is a Socket.IO client in one namespace.
type sioClient struct {
	*client
	nsp string // with a comma, "" for "/"
	ids int
}

// open connects by WebSocket and reads the open packet.
func (r *running) open(target string, header http.Header) *client {
	r.t.Helper()
	c := r.dial(target, header)
	if text := c.text(); !strings.HasPrefix(text, `0{"sid":"`) {
		r.t.Fatalf("no open packet: %s", text)
	}
	return c
}

// text reads one text message.
func (c *client) text() string {
	c.t.Helper()
	c.patient()
	got, op, err := wsutil.ReadServerData(c.rw)
	if err != nil || op != ws.OpText {
		c.t.Fatalf("received %q (opcode %d, %v), want text", got, op, err)
	}
	return string(got)
}

// enter joins a namespace, "/" or another, and returns the answer to CONNECT.
func (c *client) enter(nsp, auth string) (*sioClient, string) {
	c.t.Helper()
	s := &sioClient{client: c}
	if nsp != "/" {
		s.nsp = nsp + ","
	}
	c.send(ws.OpText, "40"+s.nsp+auth)
	return s, c.text()
}

// connect is a client in nsp that must be let in.
func (r *running) connect(nsp, auth string) *sioClient {
	r.t.Helper()
	s, answer := r.open(sioSocket, nil).enter(nsp, auth)
	if !strings.HasPrefix(answer, "40"+s.nsp+`{"sid":"`) {
		r.t.Fatalf("CONNECT was answered by %s", answer)
	}
	return s
}

func withToken(token string) string { return `{"token":"` + token + `"}` }

// emit sends an event; args is the inside of a JSON array.
func (s *sioClient) emit(args string) { s.t.Helper(); s.send(ws.OpText, "42"+s.nsp+"["+args+"]") }

// call sends an event and returns the JSON of its acknowledgement.
func (s *sioClient) call(args string) string {
	s.t.Helper()
	id := strconv.Itoa(s.ids)
	s.ids++
	s.send(ws.OpText, "42"+s.nsp+id+"["+args+"]")
	text, ok := strings.CutPrefix(s.text(), "43"+s.nsp+id+"[")
	if !ok || !strings.HasSuffix(text, "]") {
		s.t.Fatalf("%s was acknowledged by %s", args, text)
	}
	return strings.TrimSuffix(text, "]")
}

// must calls and expects an answer: "ok", or the code of an error.
func (s *sioClient) must(want, args string) {
	s.t.Helper()
	answer := s.call(args)
	var got struct {
		OK    bool
		Error *struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		s.t.Fatalf("%s: %s: %v", args, answer, err)
	}
	outcome := "nothing"
	switch {
	case got.OK && got.Error == nil:
		outcome = "ok"
	case got.Error != nil && got.Error.Message != "" && !got.OK:
		outcome = got.Error.Code
	}
	if outcome != want {
		s.t.Errorf("%s: %s, want %s", args, answer, want)
	}
}

// hears expects an event.
func (s *sioClient) hears(args string) {
	s.t.Helper()
	if text := s.text(); text != "42"+s.nsp+"["+args+"]" {
		s.t.Errorf("heard %s, want %s", text, args)
	}
}

// hearsNothing expects that no event came before the answer to one of its own.
func (s *sioClient) hearsNothing() {
	s.t.Helper()
	s.must(codeBadRequest, `"join"`)
}

func TestSIODeniesByDefault(t *testing.T) {
	r := serve(t)
	c := r.connect("/", "")
	for _, args := range []string{`"join","lobby"`, `"leave","lobby"`, `"join","user:ann"`} {
		c.must(codeForbidden, args)
	}
	for _, args := range []string{`"join"`, `"join",null`, `"join",7`, `"join",["a"]`, `"join",""`, `"leave",{}`, `"join","` + strings.Repeat("x", 257) + `"`, `"join","a\u0000"`} {
		c.must(codeBadRequest, args)
	}
	c.emit(`"unknown","lobby"`)
	c.emit(`"join","lobby"`) // without acknowledgement
	c.hearsNothing()
	if _, answer := r.open(sioSocket, nil).enter("/chat", ""); answer != `44/chat,{"message":"Invalid namespace"}` {
		t.Errorf("a namespace that is not served: %s", answer)
	}
}

func TestSIOJoinAndLeave(t *testing.T) {
	r := serve(t, "--sio-allow-join", "room/*,own/{sub}", "--sio-relay", "say=**", "--jwt-secret", testSecret, "--anonymous", "--sio-max-rooms", "3")
	ann := r.connect("/", withToken(token(t, func(g *auth.Grant) { g.Join = []string{"extra/**"}; g.Rooms = []string{"given"} })))
	bob := r.connect("/", "")
	for _, tt := range []struct {
		who        *sioClient
		want, room string
	}{
		{ann, "ok", "room/1"}, {ann, "ok", "room/1"}, {ann, codeForbidden, "room/1/x"}, {ann, codeForbidden, "room"},
		{ann, "ok", "own/ann"}, {ann, codeForbidden, "own/bob"},
		{ann, "ok", "extra/a/b"}, {ann, codeLimit, "room/2"}, {ann, "ok", "room/1"},
		{bob, codeForbidden, "extra/a"}, {bob, codeForbidden, "own/"}, {bob, codeForbidden, "given"}, {bob, "ok", "room/1"},
	} {
		tt.who.must(tt.want, `"join","`+tt.room+`"`)
	}
	bob.must("ok", `"say","room/1","hello"`)
	ann.hears(`"say","room/1","hello"`)
	ann.must("ok", `"leave","room/1"`)
	ann.must("ok", `"leave","room/1"`)
	ann.must(codeForbidden, `"leave","given"`)
	bob.must("ok", `"say","room/1","anybody?"`)
	ann.hearsNothing()
	ann.must("ok", `"join","room/2"`) // there is a place again
}

func TestSIORelay(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret, "--sio-allow-join", "**",
		"--sio-relay", "say=room/*", "--sio-relay", "say=hall", "--sio-relay", "tell", "--sio-relay", "/chat:draw=**", "--sio-relay-user")
	ann := r.connect("/", withToken(token(t, func(g *auth.Grant) { g.Publish = []string{"news", "user:*"} })))
	bob := r.connect("/", withToken(token(t, user("bob"))))
	for _, c := range []*sioClient{ann, bob} {
		for _, room := range []string{"room/1", "hall", "news", "other"} {
			c.must("ok", `"join","`+room+`"`)
		}
	}
	ann.must("ok", `"say","room/1",{"a":[1,2.50,null]},"x"`)
	bob.hears(`"say","room/1",{"a":[1,2.50,null]},"x","ann"`)
	bob.must("ok", `"say","hall"`)
	ann.hears(`"say","hall","bob"`)
	ann.emit(`"say","room/1"`) // without acknowledgement
	bob.hears(`"say","room/1","ann"`)

	bob.must(codeForbidden, `"say","news"`)   // neither the rule nor the token
	bob.must(codeForbidden, `"say","room/2"`) // not a member
	bob.must(codeForbidden, `"tell","news"`)  // left to tokens
	bob.must(codeForbidden, `"say","user:ann"`)
	bob.must(codeBadRequest, `"say"`)
	bob.must(codeBadRequest, `"say",{"room":"hall"}`)
	ann.hearsNothing()
	ann.must("ok", `"tell","news",1`)
	bob.hears(`"tell","news",1,"ann"`)
	ann.must("ok", `"say","user:bob","psst"`) // every user's sockets are in user:<id>
	bob.hears(`"say","user:bob","psst","ann"`)

	// Binary passes as it came, sender excluded, in its own namespace only.
	chatAnn, chatBob := r.connect("/chat", withToken(token(t))), r.connect("/chat", withToken(token(t, user("bob"))))
	chatAnn.must("ok", `"join","hall"`)
	chatBob.must("ok", `"join","hall"`)
	chatAnn.send(ws.OpText, `451-/chat,["draw","hall",{"_placeholder":true,"num":0}]`)
	chatAnn.send(ws.OpBinary, "\x00\x01\xff")
	if text := chatBob.text(); text != `451-/chat,["draw","hall",{"_placeholder":true,"num":0},"ann"]` {
		t.Errorf("heard %s", text)
	}
	chatBob.expect(ws.OpBinary, "\x00\x01\xff")
	chatAnn.hearsNothing()
	ann.hearsNothing()
	bob.hearsNothing()
	ann.emit(`"draw","hall"`) // not an event of this namespace
	ann.hearsNothing()
	chatBob.hearsNothing()
	bob.hearsNothing()
}

// A wildcard does not let anybody into the rooms of another user.
func TestSIOUserRoomsAreTheirOwn(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret, "--sio-allow-join", "*,**")
	c := r.connect("/", withToken(token(t)))
	c.must(codeForbidden, `"join","user:bob"`)
	c.must(codeForbidden, `"leave","user:ann"`)
	admin := r.connect("/", withToken(token(t, func(g *auth.Grant) { g.User = "admin"; g.Join = []string{"user:*"} })))
	admin.must("ok", `"join","user:bob"`)
}

func TestSIOTokens(t *testing.T) {
	good, forged := token(t), strings.Replace(token(t), ".", ".x", 1)
	expired := token(t, func(g *auth.Grant) { g.Expires = time.Now().Add(-time.Minute) })
	bearer := func(v string) http.Header { return http.Header{"Authorization": {v}} }
	cookie := func(v string) http.Header { return http.Header{"Cookie": {"a=b; session=" + v + "; io=x"}} }
	var query = func(v string) string { return sioSocket + "&access_token=" + v }
	tests := []struct {
		name   string
		args   []string
		target string
		header http.Header
		auth   string
		code   string // "": let in
	}{
		{"auth", nil, "", nil, withToken(good), ""},
		{"none", nil, "", nil, "", codeUnauthorized},
		{"empty object", nil, "", nil, "{}", codeUnauthorized},
		{"empty", nil, "", nil, withToken(""), codeUnauthorized},
		{"forged", nil, "", nil, withToken(forged), codeUnauthorized},
		{"expired", nil, "", nil, withToken(expired), codeExpired},
		{"huge", nil, "", nil, withToken(strings.Repeat("x", 100_000)), codeUnauthorized},
		{"number", nil, "", nil, `{"token":7}`, codeBadRequest},
		{"null", nil, "", nil, `{"token":null}`, codeUnauthorized},
		{"Authorization", nil, "", bearer("Bearer " + good), "", ""},
		{"Authorization, lower case", nil, "", bearer("bearer " + good), "", ""},
		{"Authorization, other scheme", nil, "", bearer("Basic " + good), "", codeUnauthorized},
		{"auth counts first", nil, "", bearer("Bearer " + good), withToken(forged), codeUnauthorized},
		{"cookie", []string{"--token-cookie", "session"}, "", cookie(good), "", ""},
		{"cookie, forged", []string{"--token-cookie", "session"}, "", cookie(forged), "", codeUnauthorized},
		{"cookie, not allowed", nil, "", cookie(good), "", codeUnauthorized},
		{"query", []string{"--token-query", "access_token"}, query(good), nil, "", ""},
		{"query, not allowed", nil, query(good), nil, "", codeUnauthorized},
		{"anonymous", []string{"--anonymous"}, "", nil, "", ""},
		{"anonymous, forged all the same", []string{"--anonymous"}, "", nil, withToken(forged), codeUnauthorized},
		{"other audience", []string{"--jwt-audience", "chat"}, "", nil, withToken(good), codeUnauthorized},
		{"other issuer", []string{"--jwt-issuer", "me"}, "", nil, withToken(good), codeUnauthorized},
		{"other algorithm", []string{"--jwt-algorithms", "HS512"}, "", nil, withToken(good), codeUnauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := serve(t, append(tt.args, "--jwt-secret", testSecret)...)
			target := sioSocket
			if tt.target != "" {
				target = tt.target
			}
			_, answer := r.open(target, tt.header).enter("/", tt.auth)
			if tt.code == "" {
				if !strings.HasPrefix(answer, `40{"sid":"`) {
					t.Errorf("%s", answer)
				}
				return
			}
			var refusal struct {
				Message string
				Data    struct{ Code string }
			}
			if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "44")), &refusal); err != nil || refusal.Data.Code != tt.code || refusal.Message == "" {
				t.Errorf("%s, want %s", answer, tt.code)
			}
		})
	}
}

func TestSIOTokenFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(testSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, "--jwt-secret-file", file).connect("/", withToken(token(t)))
}

func TestSIOEndsWithItsToken(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret, "--jwt-leeway", "0s")
	c := r.connect("/", withToken(token(t, func(g *auth.Grant) { g.Expires = time.Now().Add(5 * time.Second) })))
	c.hears(`"expired"`)
	if text := c.text(); text != "41" {
		t.Errorf("%s", text)
	}
}

func TestInsecureUserFrom(t *testing.T) {
	long := strings.Repeat("x", auth.MaxUser)
	for _, tt := range []struct {
		from, target string
		header       http.Header
		auth         string
		want         string // a user, "nobody" or "refused"
		args         []string
	}{
		{"auth.userId", "", nil, `{"userId":"ann"}`, "ann", nil},
		{"auth.userId", "", nil, `{"userId":42}`, "42", nil},
		{"auth.userId", "", nil, `{"userId":"` + long + `"}`, long, nil},
		{"auth.userId", "", nil, `{"userId":"` + long + `x"}`, "refused", nil},
		{"auth.userId", "", nil, `{"userId":""}`, "refused", nil},
		{"auth.userId", "", nil, `{"userId":"connections"}`, "refused", nil},
		{"auth.userId", "", nil, `{"userId":{"a":1}}`, "refused", nil},
		{"auth.userId", "", nil, `{"userId":1.5}`, "refused", nil},
		{"auth.userId", "", nil, `{"user":"ann"}`, "refused", nil},
		{"auth.userId", "", nil, ``, "refused", nil},
		{"auth.userId", "", nil, ``, "nobody", []string{"--anonymous"}},
		{"query.user", sioSocket + "&user=ann", nil, ``, "ann", nil},
		{"query.user", sioSocket + "&user=", nil, ``, "refused", nil},
		{"query.user", "", nil, ``, "refused", nil},
		{"header.X-User", "", http.Header{"X-User": {"ann"}}, ``, "ann", nil},
		{"header.X-User", "", nil, ``, "refused", nil},
	} {
		t.Run(tt.from+" "+tt.auth[:min(len(tt.auth), 30)]+tt.target, func(t *testing.T) {
			r := serve(t, append(tt.args, "--insecure-user-from", tt.from, "--sio-allow-join", "own/{sub}")...)
			target := sioSocket
			if tt.target != "" {
				target = tt.target
			}
			c, answer := r.open(target, tt.header).enter("/", tt.auth)
			if (tt.want == "refused") != strings.HasPrefix(answer, "44") {
				t.Fatalf("%s, want %s", answer, tt.want)
			}
			switch tt.want {
			case "refused":
			case "nobody":
				c.must(codeForbidden, `"join","own/"`)
			default:
				if len(tt.want) < 200 {
					c.must("ok", `"join","own/`+tt.want+`"`)
				}
			}
		})
	}
}

// fetch asks for a path by any method and returns the answer with its body.
func (r *running) fetch(method, path string, header http.Header) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.addr+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, "" // the connection itself
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(body)
}

func TestSIOOrigins(t *testing.T) {
	const forbidden = `{"code":4,"message":"Forbidden"}`
	for _, tt := range []struct {
		name, flag, origin string
		ok                 bool
		cors               string
	}{
		{"none sent", "", "", true, ""},
		{"same host", "", "same", true, ""},
		{"other host", "", "https://a.example", false, ""},
		{"opaque", "", "null", false, ""},
		{"listed", "https://a.example,https://b.example", "https://b.example", true, "https://b.example"},
		{"not listed", "https://a.example,https://b.example", "https://c.example", false, ""},
		{"one, listed", "https://a.example", "https://a.example", true, "https://a.example"},
		{"any", "*", "https://c.example", true, "*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var args []string
			if tt.flag != "" {
				args = []string{"--origins", tt.flag}
			}
			r := serve(t, args...)
			header := http.Header{}
			if tt.origin == "same" {
				header.Set("Origin", "http://"+r.addr)
			} else if tt.origin != "" {
				header.Set("Origin", tt.origin)
			}
			resp, body := r.fetch(http.MethodGet, sioPolling, header)
			if tt.ok != (resp.StatusCode == http.StatusOK) || !tt.ok && (resp.StatusCode != http.StatusForbidden || body != forbidden) {
				t.Errorf("polling: %d %s", resp.StatusCode, body)
			}
			if got := resp.Header.Get("Access-Control-Allow-Origin"); got != tt.cors {
				t.Errorf("Access-Control-Allow-Origin %q, want %q", got, tt.cors)
			}
			c, err := dial("ws://"+r.addr+sioSocket, header)
			if tt.ok != (err == nil) {
				t.Errorf("WebSocket: %v", err)
			}
			if err == nil {
				c.conn.Close()
			}
		})
	}
}

// --cors-origin adds headers and lets nobody in.
func TestCORSOriginIsNoAuthorisation(t *testing.T) {
	r := serve(t, "--cors-origin", "https://a.example", "--cors-credentials")
	resp, _ := r.fetch(http.MethodGet, sioPolling, http.Header{"Origin": {"https://a.example"}})
	if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Access-Control-Allow-Origin") != "https://a.example" ||
		resp.Header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestSIOAffinityCookie(t *testing.T) {
	t.Setenv("SERVER_ID", "node-7")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "io=node-7; Path=/; HttpOnly; SameSite=Lax"},
		{[]string{"--server-id", "b", "--affinity-cookie", "route"}, "route=b; Path=/; HttpOnly; SameSite=Lax"},
		{[]string{"--affinity-cookie", ""}, ""},
	} {
		r := serve(t, tt.args...)
		resp, body := r.fetch(http.MethodGet, sioPolling, nil)
		if got := resp.Header.Get("Set-Cookie"); resp.StatusCode != http.StatusOK || got != tt.want {
			t.Errorf("polling: %d %s, cookie %q, want %q", resp.StatusCode, body, got, tt.want)
		}
		resp, _ = r.fetch(http.MethodGet, sioSocket, http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		})
		if got := resp.Header.Get("Set-Cookie"); resp.StatusCode != http.StatusSwitchingProtocols || got != tt.want {
			t.Errorf("WebSocket: %d, cookie %q, want %q", resp.StatusCode, got, tt.want)
		}
	}
}

func TestSIOFlagsReachTheServer(t *testing.T) {
	r := serve(t, "--ping-interval", "7s", "--ping-timeout", "3s", "--sio-max-payload", "1KiB", "--recovery", "1m", "--allow-eio3", "--sio-path", "/rt/")
	resp, body := r.fetch(http.MethodGet, "/rt/?EIO=4&transport=polling", nil)
	var open map[string]any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &open); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	delete(open, "sid")
	if want := map[string]any{"upgrades": []any{"websocket"}, "pingInterval": 7000.0, "pingTimeout": 3000.0, "maxPayload": 1024.0}; !reflect.DeepEqual(open, want) {
		t.Errorf("%v", open)
	}
	_, answer := r.open("/rt/?EIO=4&transport=websocket", nil).enter("/", "")
	if !strings.Contains(answer, `"pid":"`) {
		t.Errorf("no recovery: %s", answer)
	}
	if resp, body := r.fetch(http.MethodGet, "/rt/?EIO=3&transport=polling", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("EIO=3: %d %s", resp.StatusCode, body)
	}
	if resp, body := serve(t).fetch(http.MethodGet, "/socket.io/?EIO=3&transport=polling", nil); resp.StatusCode != http.StatusBadRequest || body != `{"code":5,"message":"Unsupported protocol version"}` {
		t.Errorf("EIO=3 without --allow-eio3: %d %s", resp.StatusCode, body)
	}
}

// Whoever returns with somebody's session needs to be that somebody.
func TestSIORecoveryChecksTheToken(t *testing.T) {
	r := serve(t, "--recovery", "1m", "--jwt-secret", testSecret, "--sio-allow-join", "*", "--sio-relay", "say=*")
	ann := r.open(sioSocket, nil)
	s, answer := ann.enter("/", withToken(token(t)))
	var ids struct{ SID, PID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "40")), &ids); err != nil || ids.PID == "" {
		t.Fatal(answer)
	}
	s.must("ok", `"join","hall"`)
	bob := r.connect("/", withToken(token(t, user("bob"))))
	bob.must("ok", `"join","hall"`)
	bob.must("ok", `"say","hall",1`)
	var event []any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(s.text(), "42")), &event); err != nil || len(event) != 4 {
		t.Fatalf("%v: %v", event, err)
	}
	ann.conn.Close()
	claim := func(token string) string {
		return `{"token":"` + token + `","pid":"` + ids.PID + `","offset":"` + event[3].(string) + `"}`
	}
	testkit.Eventually(t, func() bool {
		status, body := r.get("/health")
		return status == http.StatusOK && strings.Contains(body, `"connections":1,`)
	}, patience)
	if _, answer := r.open(sioSocket, nil).enter("/", claim(token(t, user("bob")))); !strings.HasPrefix(answer, "44") {
		t.Errorf("with the token of somebody else: %s", answer)
	}
}

func TestSIOCapacity(t *testing.T) {
	const full = `{"code":4,"message":"Server at capacity"}`
	r := serve(t, "--max-connections", "2")
	r.open(sioSocket, nil)
	if resp, body := r.fetch(http.MethodGet, sioPolling, nil); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if status, body := r.get("/health"); status != http.StatusOK || !strings.Contains(body, `"status":"full","connections":2,`) {
		t.Errorf("%d %s", status, body)
	}
	if resp, body := r.fetch(http.MethodGet, sioPolling, nil); resp.StatusCode != http.StatusServiceUnavailable || body != full || resp.Header.Get("Retry-After") == "" {
		t.Errorf("polling: %d %s", resp.StatusCode, body)
	}
	if _, err := dial("ws://"+r.addr+sioSocket, nil); status(err) != http.StatusServiceUnavailable {
		t.Errorf("WebSocket: %v", err)
	}
	r.dial("/echo", nil).expectClose(ws.StatusPolicyViolation, "Server at capacity")
}

func TestAtCapacity(t *testing.T) {
	r := serve(t, "--max-connections", "1", "--at-capacity", "close")
	r.open(sioSocket, nil)
	r.open(sioSocket, nil).expectClose(ws.StatusPolicyViolation, "Server at capacity")
	r.dial("/topics/a", nil).expectClose(ws.StatusPolicyViolation, "Server at capacity")

	r = serve(t, "--max-connections", "1", "--at-capacity", "http503")
	r.open(sioSocket, nil)
	for _, target := range []string{"/echo", "/topics/a", sioSocket} {
		if _, err := dial("ws://"+r.addr+target, nil); status(err) != http.StatusServiceUnavailable {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// TestCapacityIsNotExceeded has many clients come at once, by all ways in.
func TestCapacityIsNotExceeded(t *testing.T) {
	const limit, clients = 5, 40
	r := serve(t, "--max-connections", strconv.Itoa(limit), "--loops", "4")
	var mu sync.Mutex
	var raw []*client
	open := 0
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			if i%2 == 0 {
				resp, err := http.Get("http://" + r.addr + sioPolling)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					mu.Lock()
					defer mu.Unlock()
					open++
				}
				return
			}
			c, err := dial("ws://"+r.addr+"/topics/a?self=1", nil)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			c.t, raw = t, append(raw, c)
		})
	}
	all.Wait()
	for _, c := range raw {
		t.Cleanup(func() { c.conn.Close() })
		c.send(ws.OpText, "x")
		if op, _ := c.frame(); op == ws.OpText {
			open++
		}
	}
	if open > limit || open == 0 {
		t.Errorf("%d clients were let in, the limit is %d", open, limit)
	}
	if n := r.server.connections(); n != open {
		t.Errorf("%d clients are counted, %d were let in", n, open)
	}
}

func TestHealthCountsSessionsOnce(t *testing.T) {
	r := serve(t)
	count := func() (h health) {
		_, body := r.get("/health")
		if err := json.Unmarshal([]byte(body), &h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	sio, raw := r.open(sioSocket, nil), joined(t, r, "/topics/a")
	r.fetch(http.MethodGet, sioPolling, nil)
	if h := count(); h.Connections != 3 {
		t.Errorf("%+v", h)
	}
	sio.conn.Close()
	raw.conn.Close()
	testkit.Eventually(t, func() bool { return count().Connections == 1 }, patience)
}

func TestSIODrain(t *testing.T) {
	r := serve(t)
	c := r.connect("/", "")
	r.stop()
	op, payload := c.frame()
	if op != ws.OpClose || len(payload) != 0 {
		t.Errorf("opcode %d, %q", op, payload)
	}
	c.conn.Close()
	if err := r.wait(); err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestClientDir(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "dist"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"socket.io.js": "the client", "socket.io.js.map": "{}", "secret.js": "x"} {
		if err := os.WriteFile(filepath.Join(dir, "dist", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := serve(t, "--client-dir", dir)
	resp, body := r.fetch(http.MethodGet, "/socket.io/socket.io.js", nil)
	tag := resp.Header.Get("ETag")
	if resp.StatusCode != http.StatusOK || body != "the client" || tag == "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/javascript") {
		t.Errorf("%d %s %v", resp.StatusCode, body, resp.Header)
	}
	if resp, body := r.fetch(http.MethodGet, "/socket.io/socket.io.js", http.Header{"If-None-Match": {tag}}); resp.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := r.fetch(http.MethodGet, "/socket.io/socket.io.js.map", nil); resp.StatusCode != http.StatusOK || body != "{}" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := r.fetch(http.MethodGet, "/socket.io/socket.io.min.js", nil); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "socket.io-client/dist/socket.io.min.js") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, _ := r.fetch(http.MethodPost, "/socket.io/socket.io.js", nil); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	for _, path := range []string{"/socket.io/secret.js", "/socket.io/..%2fdist%2fsecret.js"} {
		if resp, body := r.fetch(http.MethodGet, path, nil); resp.StatusCode == http.StatusOK || body == "x" {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	if resp, body := serve(t).fetch(http.MethodGet, "/socket.io/socket.io.js", nil); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "socket.io-client/dist/socket.io.js") {
		t.Errorf("without --client-dir: %d %s", resp.StatusCode, body)
	}
}
