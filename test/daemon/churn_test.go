package daemon

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// visits are how a client comes and goes, politely or not. What goes wrong on the way
// is a part of it: a server that is full, a session that has ended meanwhile.
var visits = []func(addr string, politely bool){
	func(addr string, politely bool) { visitSocket(addr, "/topics/churn", politely) },
	func(addr string, politely bool) { visitSocket(addr, sioSocket, politely) },
	visitByPolling,
	visitByUpgrade,
	func(addr string, _ bool) { visitWithBytes(addr, rawws.Request(addr, "/topics/churn")[:40]) },
	func(addr string, _ bool) { visitWithBytes(addr, rawws.Request(addr, "/topics/churn")) },
}

// visitSocket opens a WebSocket and leaves, with a Close frame or by a reset.
func visitSocket(addr, path string, politely bool) {
	c, err := rawws.Open(addr, path, "")
	if err != nil {
		return
	}
	defer c.Close()
	if !politely {
		_ = c.Reset()
		return
	}
	_ = c.Send(rawws.Frame{Fin: true, Op: rawws.Close, Payload: rawws.ClosePayload(1000, "")}.Bytes())
	_, _ = c.Next()
}

// visitWithBytes sends the begin of a request, or all of it, and leaves without
// waiting for an answer.
func visitWithBytes(addr, bytes string) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer nc.Close()
	_, _ = nc.Write([]byte(bytes))
}

// openPolling begins a session by polling; sid is "" when the server is full.
func openPolling(addr string) (client *http.Client, sid string) {
	client = &http.Client{Transport: &http.Transport{}, Timeout: patience}
	resp, err := client.Get("http://" + addr + sioPolling)
	if err != nil {
		return client, ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	_, rest, _ := strings.Cut(string(body), `"sid":"`)
	sid, _, _ = strings.Cut(rest, `"`)
	return client, sid
}

// visitByPolling begins a session by polling and says goodbye, or does not: the
// server has to find out.
func visitByPolling(addr string, politely bool) {
	client, sid := openPolling(addr)
	defer client.CloseIdleConnections()
	if sid == "" || !politely {
		return
	}
	if resp, err := client.Post("http://"+addr+sioPolling+"&sid="+sid, "text/plain", strings.NewReader("1")); err == nil {
		_ = resp.Body.Close()
	}
}

// visitByUpgrade begins by polling, moves to a WebSocket, or begins to, and leaves.
func visitByUpgrade(addr string, whole bool) {
	client, sid := openPolling(addr)
	defer client.CloseIdleConnections()
	if sid == "" {
		return
	}
	c, err := rawws.Open(addr, sioSocket+"&sid="+sid, "")
	if err != nil {
		return
	}
	defer c.Close()
	text := func(s string) { _ = c.Send(rawws.Frame{Fin: true, Op: rawws.Text, Payload: []byte(s)}.Bytes()) }
	text("2probe")
	if _, err := c.Next(); err == nil && whole {
		text("5")
	}
}

// metrics are the values of a server's series, by name with labels.
func metrics(t *testing.T, p *wsdproc.Process) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + p.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			all[name] = n
		}
	}
	return all
}

// websocket_connections is the truth after 10,000 clients of all kinds came and
// went, politely and otherwise, some of them refused; and in between.
func TestConnectionsAreCountedTruly(t *testing.T) {
	const at, staying = 24, 10
	clients := 10_000 * rounds()
	p := wsdproc.Start(t, "serve", "--anonymous", "--loops", "2", "--max-connections", "60",
		"--ping-interval", "200ms", "--ping-timeout", "300ms", "--drain-lb-wait", "0s")
	defer http.DefaultClient.CloseIdleConnections()
	churn := func(n int) {
		numbers := make(chan int)
		var wg sync.WaitGroup
		for range at {
			wg.Go(func() {
				for i := range numbers {
					visits[i%len(visits)](p.Addr, i/len(visits)%2 == 0)
				}
			})
		}
		for i := range n {
			numbers <- i
		}
		close(numbers)
		wg.Wait()
	}
	expect := func(want float64) {
		t.Helper()
		testkit.Eventually(t, func() bool {
			m := metrics(t, p)
			return m["websocket_connections"] == want && m["wsd_subscriptions"] == want
		}, patience)
	}
	churn(clients / 2)
	expect(0)
	var stay []*rawws.Conn
	for range staying {
		c, err := rawws.Open(p.Addr, "/topics/stay", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		stay = append(stay, c)
	}
	expect(staying)
	churn(clients / 2)
	expect(staying)
	for _, c := range stay {
		_ = c.Conn.Close()
	}
	expect(0)
	m := metrics(t, p)
	for _, some := range []string{
		`wsd_connections_accepted_total{kind="raw"}`, `wsd_connections_accepted_total{kind="sio"}`, `wsd_sio_sessions_upgraded_total`,
		`wsd_sio_sessions_closed_total{reason="ping_timeout"}`, `wsd_connections_rejected_total{reason="capacity"}`,
		`wsd_connections_closed_total{code="1000",initiator="client"}`, `wsd_connections_closed_total{code="1006",initiator="network"}`,
	} {
		if m[some] == 0 {
			t.Errorf("%s is 0: the clients were not what they were to be", some)
		}
	}
	for _, none := range []string{
		`wsd_connections{kind="raw",transport="websocket"}`, `wsd_connections{kind="sio",transport="websocket"}`, `wsd_connections{kind="sio",transport="polling"}`,
		"wsd_outbound_buffered_bytes", "wsd_slow_connections", "wsd_panics_total",
	} {
		if v, ok := m[none]; !ok || v != 0 {
			t.Errorf("%s is %v, %v", none, v, ok)
		}
	}
}
