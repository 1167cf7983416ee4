package main

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// A place is free again when its connection has ended, whatever carried it.
func TestPlacesPerAddressAreFreed(t *testing.T) {
	r := serve(t, "--max-connections-per-ip", "1")
	known := func(n int) { // a connection is counted, or not any more, after its client knows of it
		t.Helper()
		testkit.Eventually(t, func() bool { return r.server.limiter.addresses.Len() == n }, patience)
	}
	for _, target := range []string{"/echo", "/topics/a", sioSocket} {
		c := r.dial(target, nil)
		known(1)
		c.conn.Close()
		known(0)
	}
	resp, body := r.fetch(http.MethodGet, sioPolling, nil)
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status, body)
	}
	known(1)
	r.post(sidOf(body), "1")
	known(0)
}

// Of raw connections that come at once, on as many loops, no more are let in than there
// are places. They have one address, whose lock has them meet between what is looked at
// and what is counted.
func TestPlacesAreNotGivenTwice(t *testing.T) {
	const limit, clients, rounds = 5, 64, 200
	s := serve(t, "--max-connections", strconv.Itoa(limit)).server
	from := netip.MustParseAddr("192.0.2.1")
	over := make(chan struct{})
	var busy sync.WaitGroup
	for range 4 { // the lock is hardly ever free
		busy.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					s.limiter.addresses.Connections(from)
				}
			}
		})
	}
	defer busy.Wait()
	defer close(over)
	for range rounds {
		var in atomic.Int64
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range clients {
			all.Go(func() {
				<-begin
				why, ok := s.admit(from)
				switch {
				case ok:
					in.Add(1)
				case why != reasonCapacity:
					t.Errorf("refused because of %v", why)
				}
			})
		}
		close(begin)
		all.Wait()
		if n := in.Load(); n > limit || s.raw.Load() != n || s.limiter.addresses.Connections(from) != int(n) {
			t.Fatalf("%d are let in and %d counted, %d of the address; the limit is %d", n, s.raw.Load(), s.limiter.addresses.Connections(from), limit)
		}
		for range in.Load() {
			s.raw.Add(-1)
			s.limiter.leave(from)
		}
	}
}

func TestMessageRate(t *testing.T) {
	closing := []string{"--messages-per-second", "0.001", "--message-burst", "3"}
	dropping := append(closing[:len(closing):len(closing)], "--message-rate-policy", "drop")

	r := serve(t, closing...)
	echo, topic := r.dial("/echo", nil), r.dial("/topics/a?self=1", nil)
	for _, c := range []*client{echo, topic} {
		for range 3 {
			c.send(ws.OpText, "x")
			c.expect(ws.OpText, "x")
		}
		c.send(ws.OpText, "x")
		c.expectClose(closePolicy, textMessages)
	}
	sio := r.connect("/", "") // CONNECT is a packet as well
	sio.must(codeForbidden, `"join","a"`)
	sio.must(codeForbidden, `"join","a"`)
	sio.emit(`"join","a"`)
	sio.expectClose(closePolicy, textMessages)
	if n := r.metric(`wsd_messages_rate_limited_total{action="close"}`); n != 3 {
		t.Errorf("%v connections were closed", n)
	}

	r = serve(t, dropping...)
	echo = r.dial("/echo", nil)
	for range 5 {
		echo.send(ws.OpText, "x")
	}
	for range 3 {
		echo.expect(ws.OpText, "x")
	}
	sio = r.connect("/", "")
	for range 4 {
		sio.emit(`"join","a"`)
	}
	testkit.Eventually(t, func() bool { return r.metric(`wsd_messages_rate_limited_total{action="drop"}`) == 4 }, patience)
	sio.send(ws.OpText, "41") // what is no event is not dropped
	testkit.Eventually(t, func() bool { return r.server.sio.io.Of("/").Sockets() == 0 }, patience)
	if r.metric(`wsd_messages_rate_limited_total{action="close"}`) != 0 {
		t.Error("a connection was closed")
	}
}

// A message with attachments is one.
func TestAttachmentsAreOneMessage(t *testing.T) {
	r := serve(t, "--messages-per-second", "0.001", "--message-burst", "3")
	c := r.connect("/", "")
	c.send(ws.OpText, `452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	c.send(ws.OpBinary, "a")
	c.send(ws.OpBinary, "b")
	c.must(codeForbidden, `"join","a"`)
}

// Packets of one POST count one by one.
func TestMessageRateOfAPoller(t *testing.T) {
	r := serve(t, "--messages-per-second", "0.001", "--message-burst", "3")
	_, body := r.fetch(http.MethodGet, sioPolling, nil)
	sid := sidOf(body)
	r.post(sid, "40")
	if _, body := r.fetch(http.MethodGet, sioPolling+"&sid="+sid, nil); !strings.HasPrefix(body, "40") {
		t.Fatalf("%s", body)
	}
	r.post(sid, strings.Repeat("42[\"x\"]\x1e", 9)+"42[\"x\"]")
	testkit.Eventually(t, func() bool { return r.server.sio.io.Engine().Sessions() == 0 }, patience)
	if n := r.metric(`wsd_messages_rate_limited_total{action="close"}`); n != 1 {
		t.Errorf("%v connections were closed", n)
	}
}

func TestReloadLimits(t *testing.T) {
	f := newFile(t, "max-connections-per-ip: 0\n")
	r := serve(t, "--config", f.name)
	hold := r.dial("/echo", nil)
	hold.send(ws.OpText, "x")
	hold.expect(ws.OpText, "x")
	f.write("max-connections-per-ip: 1\n")
	r.mustReload("")
	if _, err := dial("ws://"+r.addr+"/echo", nil); status(err) != http.StatusTooManyRequests {
		t.Errorf("the limit of a reload is not in force: %v", err)
	}
	hold.send(ws.OpText, "x")
	hold.expect(ws.OpText, "x")
	f.write("trusted-proxies: [nonsense]\n")
	r.mustReload("--trusted-proxies")
}
