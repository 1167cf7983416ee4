package daemon

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// published is the answer to a publication.
type published struct {
	Offset string
	Local  int
}

// clusterNode starts a server of a cluster.
func clusterNode(t *testing.T, redis *testkit.Redis, id string, args ...string) *wsdproc.Process {
	t.Helper()
	return wsdproc.Start(t, append([]string{"serve", "--server-id", id, "--adapter", "classic", "--redis-url", redis.URL(), "--drain-lb-wait", "0s"}, args...)...)
}

// speak connects to /pubsub and subscribes to a topic.
func speak(t *testing.T, address, topic string) *rawws.Conn {
	t.Helper()
	c, err := rawws.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Conn.Close() })
	c.Patience = patience
	if err := c.Send([]byte(rawws.Request(address, "/pubsub", "Sec-WebSocket-Protocol: wsd.json.v1"))); err != nil {
		t.Fatal(err)
	}
	if r, err := c.ReadResponse(); err != nil || r.Status != http.StatusSwitchingProtocols {
		t.Fatalf("%+v, %v", r, err)
	}
	if e, err := c.Next(); err != nil || !strings.HasPrefix(string(e.Payload), `{"op":"hello"`) {
		t.Fatalf("%v, %v", e, err)
	}
	request := fmt.Sprintf(`{"op":"subscribe","id":1,"topic":%q}`, topic)
	if err := c.Send(rawws.Frame{Fin: true, Op: rawws.Text, Payload: []byte(request)}.Bytes()); err != nil {
		t.Fatal(err)
	}
	expectText(t, c, `{"op":"ok","id":1}`)
	return c
}

// expectText reads the next message, which must be this text.
func expectText(t *testing.T, c *rawws.Conn, want string) {
	t.Helper()
	if e, err := c.Next(); err != nil || e.Kind != rawws.TextMessage || string(e.Payload) != want {
		t.Fatalf("%s %s (%v), want %s", e.Kind, e.Payload, err, want)
	}
}

// What is published reaches the subscribers of every server, as what it is.
func TestAPIPublish(t *testing.T) {
	redis := testkit.StartRedis(t)
	here, there := clusterNode(t, redis, "a", "--durable", "kept/**=100"), clusterNode(t, redis, "b", "--durable", "kept/**=100")
	a := apiOf(t, here, "")
	near, far := subscribe(t, here.Addr, "news"), subscribe(t, there.Addr, "news")
	enveloped := speak(t, there.Addr, "news")
	publish := func(body string) {
		t.Helper()
		var p published
		a.post(200, "/v1/publish", body, &p)
		if p.Local != 1 || p.Offset != "" {
			t.Errorf("%s: %+v", body, p)
		}
	}
	// The other server hears of the topic soon.
	testkit.Eventually(t, func() bool { return fmt.Sprint(redis.Do("PUBSUB", "NUMSUB", "wsd:t:news")) == "[wsd:t:news 2]" }, patience)
	publish(`{"topic":"news","data":"plain text \u00fc"}`)
	publish(`{"topic":"news","data":{"a": [1, 2.50, 12345678901234567890]}}`)
	publish(`{"topic":"news","data":17}`)
	publish(`{"topic":"news","data":null}`)
	publish(`{"topic":"news","data":""}`)
	publish(`{"topic":"news","base64":"AAH/"}`)
	var b struct{ Results []published }
	a.post(200, "/v1/batch", `{"messages":[{"topic":"news","data":"1"},{"topic":"other","data":"2"},{"topic":"news","data":"3"}]}`, &b)
	if len(b.Results) != 3 || b.Results[0].Local != 1 || b.Results[1].Local != 0 {
		t.Errorf("%+v", b)
	}
	want := []string{
		`text "plain text ü"`, `text "{\"a\": [1, 2.50, 12345678901234567890]}"`, `text "17"`, `text "null"`, `text ""`,
		`binary "\x00\x01\xff"`, `text "1"`, `text "3"`,
	}
	expectEvents(t, near, want...)
	expectEvents(t, far, want...)
	for _, data := range []string{
		`"data":"plain text ü"`, `"data":{"a": [1, 2.50, 12345678901234567890]}`, `"data":17`, `"data":null`, `"data":""`,
		`"base64":"AAH/"`, `"data":1`, `"data":3`,
	} {
		expectText(t, enveloped, `{"op":"message","topic":"news",`+data+`}`)
	}
	var p, q published
	a.post(200, "/v1/publish", `{"topic":"kept/x","data":1}`, &p)
	a.post(200, "/v1/publish", `{"topic":"kept/x","data":2}`, &q)
	if p.Offset == "" || q.Offset == "" || p.Offset == q.Offset {
		t.Errorf("offsets %q and %q", p.Offset, q.Offset)
	}
}

// Without its broker a server does not say that it has published, and once it knows,
// nobody gets what others can't.
func TestAPIPublishWithoutBroker(t *testing.T) {
	redis := testkit.StartRedis(t)
	s := clusterNode(t, redis, "a")
	a := apiOf(t, s, "")
	c := subscribe(t, s.Addr, "t")
	l := listen(t, s.Addr, listener{})
	a.post(200, "/v1/publish", `{"topic":"t","data":"before"}`, nil)
	expectEvents(t, c, `text "before"`)
	redis.Kill()
	// From now on no answer is 200.
	a.failed(503, "unavailable", "/v1/publish", `{"topic":"t","data":"lost?"}`)
	testkit.Eventually(t, func() bool {
		return strings.Contains(a.failed(503, "unavailable", "/v1/publish", `{"topic":"t","data":"lost?"}`).Error.Message, "nothing was sent")
	}, patience)
	r := a.failed(503, "unavailable", "/v1/batch", `{"messages":[{"topic":"t","data":"no"},{"topic":"t","data":"no"}]}`)
	if r.Error.Published == nil || *r.Error.Published != 0 {
		t.Errorf("%+v", r)
	}
	a.failed(503, "unavailable", "/v1/emit", `{"event":"no"}`)
	a.failed(503, "unavailable", "/v1/publish", `{"topic":"t","data":"no","id":"x"}`)
	a.failed(503, "unavailable", "/v1/disconnect", `{"room":"r"}`)
	a.post(200, "/v1/emit", `{"event":"local","local":true}`, nil)
	l.expect("local", 0)
	redis.Start()
	testkit.Eventually(t, func() bool {
		res, _ := a.send("POST", "/v1/publish", nil, `{"topic":"t","data":"after"}`)
		return res.StatusCode == 200
	}, patience)
	for {
		e, err := c.Next()
		if err != nil || string(e.Payload) == "no" {
			t.Fatalf("%v, %v", e, err)
		}
		if string(e.Payload) == "after" {
			break
		}
	}
}

// keyed publishes with an idempotency key and returns the status, and whether the
// answer was another request's.
func (a *httpAPI) keyed(key, topic, data string) (status int, replayed bool, body string) {
	a.t.Helper()
	res, text := a.send("POST", "/v1/publish", http.Header{"Idempotency-Key": {key}}, fmt.Sprintf(`{"topic":%q,"data":%q}`, topic, data))
	a.asDescribed("POST", "/v1/publish", res, text)
	return res.StatusCode, res.Header.Get("Idempotent-Replayed") == "true", string(text)
}

// A request with a key is carried out once, whichever server it reaches.
func TestAPIOnceInACluster(t *testing.T) {
	redis := testkit.StartRedis(t)
	durable := []string{"--durable", "**=1000"}
	first, second := clusterNode(t, redis, "a", durable...), clusterNode(t, redis, "b", durable...)
	a, b := apiOf(t, first, ""), apiOf(t, second, "")
	length := func(topic string) string { return fmt.Sprint(redis.Do("XLEN", "wsd:{t:"+topic+"}:log")) }

	status, replayed, answer := a.keyed("k", "t", "x")
	if status != 200 || replayed || !strings.Contains(answer, "offset") {
		t.Fatalf("%d %v %s", status, replayed, answer)
	}
	for _, api := range []*httpAPI{a, b, a} {
		if status, replayed, again := api.keyed("k", "t", "x"); status != 200 || !replayed || again != answer {
			t.Errorf("again: %d %v %s, want %s", status, replayed, again, answer)
		}
	}
	if status, _, text := b.keyed("k", "t", "y"); status != 422 || !strings.Contains(text, "conflict") {
		t.Errorf("the key of another request: %d %s", status, text)
	}
	// By its field in the body, too, and by both if they agree.
	a.post(200, "/v1/publish", `{"topic":"u","data":1,"id":"k2"}`, nil)
	if h := b.post(200, "/v1/publish", `{"topic":"u","data":1,"id":"k2"}`, nil); h.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%v", h)
	}
	b.ask(400, "POST", "/v1/publish", http.Header{"Idempotency-Key": {"k3"}}, `{"topic":"u","data":1,"id":"k2"}`, nil)

	// At a time, on both servers: one does it, and nobody hears anything else.
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i := range 20 {
		api := []*httpAPI{a, b}[i%2]
		wg.Go(func() {
			status, replayed, text := api.keyed("race", "r", "x")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case status == 200 && !replayed:
				done++
			case status == 200, status == 409:
			default:
				t.Errorf("%d %s", status, text)
			}
		})
	}
	wg.Wait()
	if done != 1 || length("r") != "1" {
		t.Errorf("done %d times, %s in the log", done, length("r"))
	}

	// Another process of the same name knows as well.
	first.Signal(t, sigterm)
	if code := first.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, first.Log())
	}
	a = apiOf(t, clusterNode(t, redis, "a", durable...), "")
	if status, replayed, again := a.keyed("k", "t", "x"); status != 200 || !replayed || again != answer {
		t.Errorf("behind a restart: %d %v %s", status, replayed, again)
	}
	if length("t") != "1" || length("u") != "1" {
		t.Errorf("%s and %s in the logs", length("t"), length("u"))
	}
	if ttl := fmt.Sprint(redis.Do("PTTL", "wsd:once:k")); ttl == "-1" || ttl == "-2" {
		t.Errorf("PTTL %s", ttl)
	}
}

// A server that is alone remembers by itself.
func TestAPIOnceAlone(t *testing.T) {
	s := wsdproc.Start(t, "serve")
	a := apiOf(t, s, "")
	c := subscribe(t, s.Addr, "t")
	for i := range 3 {
		if status, replayed, text := a.keyed("k", "t", "x"); status != 200 || replayed != (i > 0) || !strings.Contains(text, `"local":1`) {
			t.Errorf("%d: %d %v %s", i, status, replayed, text)
		}
	}
	if status, _, _ := a.keyed("k", "t", "y"); status != 422 {
		t.Errorf("the key of another request: %d", status)
	}
	a.post(200, "/v1/publish", `{"topic":"t","data":"end"}`, nil)
	expectEvents(t, c, `text "x"`, `text "end"`)
	// A request that failed is tried again under its key.
	a.post(404, "/v1/emit", `{"event":"e","user":"ann","id":"later"}`, nil)
	if h := a.post(404, "/v1/emit", `{"event":"e","user":"ann","id":"later"}`, nil); h.Get("Idempotent-Replayed") != "" {
		t.Error("a failure was remembered")
	}
}
