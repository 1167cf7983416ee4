package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// pollBurst is how many polling sessions are being opened at a time.
const pollBurst = 64

// holdPolling opens Socket.IO sessions over HTTP polling, which the load
// generator does not speak, leaves each with its GET waiting at the server, as
// a client's is, and reads the resident memory of process pid before the first
// one and after a rest. It returns when every connection is closed.
func holdPolling(ctx context.Context, addr string, pid, sessions int, rest time.Duration) (*report, error) {
	before, err := resident(pid)
	if err != nil {
		return nil, err
	}
	holding, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	var (
		opened  = make(chan error, sessions)
		ended   = make(chan error, sessions)
		opening = make(chan struct{}, pollBurst)
	)
	for range sessions {
		all.Go(func() {
			opening <- struct{}{}
			p, err := openPoller(holding, addr)
			<-opening
			opened <- err
			if err != nil {
				return
			}
			defer p.conn.Close()
			if err := p.answer(); holding.Err() == nil {
				ended <- err
			}
		})
	}
	r := &report{Mode: "idle", Conns: sessions}
	for range sessions {
		if err := <-opened; err != nil {
			r.Failed++
			r.Err = err.Error()
		} else {
			r.Open++
		}
	}
	if err := pause(ctx, rest); err != nil {
		return nil, err
	}
	after, err := resident(pid)
	if err != nil {
		return nil, err
	}
	r.Closed = len(ended)
	if r.Closed > 0 {
		r.Err = (<-ended).Error()
	}
	r.RSSAfter = after
	if r.Open > 0 {
		r.PerConn = (after - before) * 1024 / float64(r.Open)
	}
	return r, nil
}

// poller is a Socket.IO client that polls on one connection. It belongs to one
// goroutine; when its context ends, its calls fail.
type poller struct {
	conn net.Conn
	in   *bufio.Reader
	addr string
	sid  string
}

// errPoll says that the server answered what no Socket.IO server should.
var errPoll = errors.New("polling")

// openPoller connects to the main namespace, and leaves a GET waiting.
func openPoller(ctx context.Context, addr string) (*poller, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	p := &poller{conn: conn, in: bufio.NewReaderSize(conn, 1024), addr: addr}
	if err := p.connect(); err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *poller) connect() error {
	open, err := p.exchange(http.MethodGet, "")
	if err != nil {
		return err
	}
	var handshake struct {
		SID string `json:"sid"`
	}
	packet, isOpen := strings.CutPrefix(open, "0")
	if err := json.Unmarshal([]byte(packet), &handshake); err != nil || !isOpen || handshake.SID == "" {
		return fmt.Errorf("%w: no handshake: %.100q", errPoll, open)
	}
	p.sid = handshake.SID
	if _, err := p.exchange(http.MethodPost, "40"); err != nil {
		return err
	}
	connected, err := p.exchange(http.MethodGet, "")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(connected, `40{"sid":`) {
		return fmt.Errorf("%w: not connected: %.100q", errPoll, connected)
	}
	return p.send(http.MethodGet, "")
}

// answer sends a pong for each ping, until the session or the connection ends.
// A GET is waiting when it is called.
func (p *poller) answer() error {
	for {
		payload, err := p.receive()
		if err != nil {
			return err
		}
		for packet := range strings.SplitSeq(payload, "\x1e") {
			switch packet {
			case "2": // ping
				if _, err := p.exchange(http.MethodPost, "3"); err != nil {
					return err
				}
			case "6": // noop
			default:
				return fmt.Errorf("%w: unexpected packet %.100q", errPoll, packet)
			}
		}
		if err := p.send(http.MethodGet, ""); err != nil {
			return err
		}
	}
}

// exchange sends a request and returns the body of its response.
func (p *poller) exchange(method, body string) (string, error) {
	if err := p.send(method, body); err != nil {
		return "", err
	}
	return p.receive()
}

func (p *poller) send(method, body string) error {
	head := method + " /socket.io/?EIO=4&transport=polling"
	if p.sid != "" {
		head += "&sid=" + p.sid
	}
	head += " HTTP/1.1\r\nHost: " + p.addr + "\r\n"
	if method == http.MethodPost {
		head += fmt.Sprintf("Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n", len(body))
	}
	_, err := io.WriteString(p.conn, head+"\r\n"+body)
	return err
}

func (p *poller) receive() (string, error) {
	resp, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w: status %d: %.100q", errPoll, resp.StatusCode, body)
	}
	return string(body), err
}

// resident is the resident memory of a process in KiB, exact, on Linux.
func resident(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "Rss: %f kB", &kib); err == nil {
			return kib, nil
		}
	}
	return 0, fmt.Errorf("no resident memory of process %d", pid)
}
