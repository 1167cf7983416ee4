package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// Flags that can't be meant are refused, with what to do instead.
func TestRedisUsage(t *testing.T) {
	t.Setenv("REDIS_URL", "")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ args, says string }{
		{"--redis-url redis://127.0.0.1:1", "--adapter classic, sharded or streams"},
		{"--redis-url-file x", "--adapter classic, sharded or streams"},
		{"--stream-name x", "mean nothing"},
		{"--specific-responses", "mean nothing"},
		{"--adapter classic", "it needs --redis-url, or REDIS_URL"},
		{"--adapter pigeon", "--adapter"},
		{"--adapter classic --redis-url http://x", "--redis-url"},
		{"--adapter classic --redis-url redis://a --redis-url-file x", "want one"},
		{"--adapter classic --redis-url-file /nonexistent/x", "--redis-url-file"},
		{"--adapter classic --redis-url-file " + empty, "it is empty"},
		{"--adapter classic --redis-url redis://a --stream-count 2", "--stream-count is for --adapter streams, and this is classic"},
		{"--adapter streams --redis-url redis://a --subscription-mode static", "--subscription-mode is for --adapter sharded"},
		{"--adapter sharded --redis-url redis://a --subscription-mode x", "--subscription-mode"},
		{"--adapter sharded --redis-url redis://a --specific-responses", "--specific-responses is for --adapter classic"},
		{"--adapter streams --redis-url redis://a --stream-max-len=-1", "want more than 0"},
		{"--adapter classic --redis-url redis://a --request-timeout 0s", "--request-timeout"},
		{"--adapter classic --redis-url redis://a --durable x", "want PATTERN=MESSAGES,AGE"},
		{"--adapter classic --redis-url redis://a --durable x=", "a number of messages"},
		{"--adapter classic --redis-url redis://a --durable x=0", "a number of messages"},
		{"--adapter classic --redis-url redis://a --durable x=1,2", "a number of messages"},
		{"--adapter classic --redis-url redis://a --durable x=1h,2h", "a number of messages"},
		{"--adapter classic --redis-url redis://a --durable x=-1h", "a number of messages"},
		{"--adapter classic --redis-url redis://a --durable ***=1", "stars"},
		{"--adapter classic --redis-url redis://a --durable {sub}=1", "{sub}"},
	} {
		var out bytes.Buffer
		if code := execute(t.Context(), append([]string{"serve"}, strings.Fields(x.args)...), io.Discard, &out); code != exitUsage || !strings.Contains(out.String(), x.says) {
			t.Errorf("%s: exit code %d: %s", x.args, code, &out)
		}
	}
}

// Nobody reads the password in what is printed.
func TestRedisSecretsAreNotTold(t *testing.T) {
	const secret = "s3cr3t"
	for name, args := range map[string]string{
		"unreachable": "--adapter classic --redis-url redis://user:" + secret + "@127.0.0.1:1",
		"malformed":   "--adapter classic --redis-url redis://user:" + secret + "@127.0.0.1:x/y",
		"unused":      "--redis-url redis://user:" + secret + "@127.0.0.1:1",
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			want := exitUsage
			if name == "unreachable" {
				want = exitBroker
			}
			if code := execute(t.Context(), append([]string{"serve", "--admin-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"}, strings.Fields(args)...), &out, &out); code != want {
				t.Errorf("exit code %d: %s", code, &out)
			}
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s", &out)
			}
		})
	}
}

// URLs come from flags, files, and two variables.
func TestRedisURLs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "urls")
	if err := os.WriteFile(file, []byte("redis://a\nredis://b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		args, env map[string]string
		want      string
	}{
		"a flag":                  {args: map[string]string{"--redis-url": "redis+sentinel://a,b/m"}, want: "redis+sentinel://a,b/m"},
		"a flag with several":     {args: map[string]string{"--redis-url": "redis://a redis://b"}, want: "redis://a redis://b"},
		"a file":                  {args: map[string]string{"--redis-url-file": file}, want: "redis://a redis://b"},
		"WSD_REDIS_URL":           {env: map[string]string{"WSD_REDIS_URL": "redis://a redis://b"}, want: "redis://a redis://b"},
		"WSD_REDIS_URL_FILE":      {env: map[string]string{"WSD_REDIS_URL_FILE": file}, want: "redis://a redis://b"},
		"REDIS_URL":               {env: map[string]string{"REDIS_URL": "redis://a"}, want: "redis://a"},
		"REDIS_URL_FILE":          {env: map[string]string{"REDIS_URL_FILE": file}, want: "redis://a redis://b"},
		"a flag beside REDIS_URL": {args: map[string]string{"--redis-url": "redis://b"}, env: map[string]string{"REDIS_URL": "redis://a"}, want: "redis://b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("REDIS_URL", "")
			for name, value := range x.env {
				t.Setenv(name, value)
			}
			args := []string{"serve", "--adapter", "classic"}
			for name, value := range x.args {
				args = append(args, name, value)
			}
			c := parse(t, args...)
			if urls, err := c.Serve.redisFlags.urls(); err != nil || strings.Join(urls, " ") != x.want {
				t.Errorf("%q, %v", urls, err)
			}
		})
	}
}

// REDIS_URL of another program is no cluster.
func TestRedisURLAloneIsNoCluster(t *testing.T) {
	t.Setenv("REDIS_URL", "redis://127.0.0.1:1")
	r := serve(t)
	if h := r.health(); h.Broker != nil {
		t.Errorf("%+v", h.Broker)
	}
}

func TestDurables(t *testing.T) {
	ds, err := parseDurables([]string{"news/*=100,1h", "a=b/**=7", "**=30m"})
	if err != nil {
		t.Fatal(err)
	}
	find := ds.find()
	for topic, want := range map[string]broker.Retention{
		"news/x":   {Messages: 100, Age: time.Hour},
		"news/x/y": {Age: 30 * time.Minute},
		"a=b/c":    {Messages: 7},
	} {
		if got, ok := find(topic); !ok || got != want {
			t.Errorf("%s: %+v, %v", topic, got, ok)
		}
	}
	if durables(nil).find() != nil {
		t.Error("topics are kept by default")
	}
}

// health asks for it.
func (r *running) health() (h health) {
	r.t.Helper()
	answer, err := http.Get("http://" + r.addr + "/health")
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&h); err != nil {
		r.t.Fatal(err)
	}
	return h
}

// Two servers are one for clients of both protocols; what is sent while one
// stops still gets out; and /health tells when Redis is gone.
func TestServersOverRedis(t *testing.T) {
	redis := testkit.StartRedis(t)
	flags := []string{"--adapter", "classic", "--redis-url", redis.URL(), "--sio-relay", "say=lobby", "--sio-allow-join", "lobby"}
	a := serve(t, append(flags, "--server-id", "a")...)
	b := serve(t, append(flags, "--server-id", "b")...)

	from, to := a.connect("/", ""), b.connect("/", "")
	from.must("ok", `"join","lobby"`)
	to.must("ok", `"join","lobby"`)
	from.must("ok", `"say","lobby","hello"`)
	to.hears(`"say","lobby","hello"`)

	out, in := a.dial("/topics/news", nil), b.dial("/topics/news", nil)
	heard := make(chan string, 1)
	go func() {
		text, _, _ := wsutil.ReadServerData(in.rw)
		heard <- string(text)
	}()
	in.patient()
	testkit.Eventually(t, func() bool {
		// The subscription stands soon: what is sent before is not for it.
		out.send(ws.OpText, "hello")
		select {
		case text := <-heard:
			return text == "hello"
		case <-time.After(50 * time.Millisecond):
			return false
		}
	}, patience)

	for _, r := range []*running{a, b} {
		testkit.Eventually(t, func() bool { // a probe may be late
			h := r.health()
			return h.Broker != nil && h.Broker.Up && h.Broker.Reason == "" && h.Status == "ok"
		}, patience)
	}
	redis.Kill()
	testkit.Eventually(t, func() bool {
		h := a.health()
		return h.Broker != nil && !h.Broker.Up && h.Broker.Reason != "" && h.Status == "ok"
	}, patience)
	// Those of one server hear each other all the same.
	near := a.connect("/", "")
	near.must("ok", `"join","lobby"`)
	from.emit(`"say","lobby","near"`)
	near.hears(`"say","lobby","near"`)
	redis.Restart()
	testkit.Eventually(t, func() bool {
		h := a.health().Broker
		return h.Up && h.Gaps > 0 && h.Lost > 0 // "near" did not get out
	}, patience)
}

// Who has somebody's secret of recovery, but not a token of theirs, does not
// become them on another server either.
func TestSessionsStayTheirUsers(t *testing.T) {
	redis := testkit.StartRedis(t)
	flags := []string{"--adapter", "streams", "--redis-url", redis.URL(), "--recovery", "1m", "--jwt-secret", testSecret, "--sio-relay", "say=lobby", "--sio-allow-join", "lobby"}
	a := serve(t, append(flags, "--server-id", "a")...)
	b := serve(t, append(flags, "--server-id", "b")...)
	for _, x := range []struct{ who, says string }{{"ann", `"sid":"`}, {"bob", `"code":"unauthorized"`}} {
		c, answer := a.open(sioSocket, nil).enter("/", withToken(token(t)))
		var hello struct{ PID string }
		if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "40")), &hello); err != nil || hello.PID == "" {
			t.Fatal(answer)
		}
		c.must("ok", `"join","lobby"`)
		other := b.connect("/", withToken(token(t, user("eve"))))
		other.must("ok", `"join","lobby"`)
		other.emit(`"say","lobby",1`)
		var args []any
		if err := json.Unmarshal([]byte(strings.TrimPrefix(c.text(), "42")), &args); err != nil || len(args) != 4 {
			t.Fatalf("%v, %v", args, err)
		}
		c.conn.Close()
		testkit.Eventually(t, func() bool { return redis.Do("EXISTS", "sio:session:"+hello.PID) == int64(1) }, patience)
		claim := `{"token":"` + token(t, user(x.who)) + `","pid":"` + hello.PID + `","offset":"` + args[3].(string) + `"}`
		if _, answer := b.open(sioSocket, nil).enter("/", claim); !strings.Contains(answer, x.says) || strings.Contains(answer, hello.PID) != (x.who == "ann") {
			t.Errorf("%s: %s", x.who, answer)
		}
	}
}
