package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// asMain makes the test binary behave as wsd itself: tests of signals and exit
// codes start it as a process of its own.
const asMain = "WSD_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		os.Unsetenv(asMain)
		main()
	}
	os.Exit(testkit.CheckLeaks(m))
}

// patience bounds everything a test waits for.
const patience = 20 * time.Second

// parse reads a command line as main does.
func parse(t *testing.T, args ...string) *cli {
	t.Helper()
	return parsed(t, args...).cli
}

// parsed is parse with what tells where values come from.
func parsed(t *testing.T, args ...string) *invocation {
	t.Helper()
	in, err := invoke(args, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// running is a server in this process.
type running struct {
	t      *testing.T
	addr   string
	admin  string // "": none
	server *server
	stop   context.CancelFunc
	done   chan struct{}
	err    error // of run, once done is closed
}

// serve starts `wsd serve` with args on a free port; it is drained at the end
// of the test.
func serve(t *testing.T, args ...string) *running {
	t.Helper()
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--loops", "1", "--drain-lb-wait", "0s", "--drain-window", "0s", "--admin-listen", "127.0.0.1:0"}, args...)
	in := parsed(t, args...)
	if err := in.cli.Serve.check(); err != nil {
		t.Fatal(err)
	}
	return start(t, in.cli.Serve.config(&process{stdout: io.Discard, stderr: io.Discard, args: args, invocation: in}))
}

func start(t *testing.T, cfg config) *running {
	t.Helper()
	cfg.log = slog.New(slog.DiscardHandler)
	return startLogging(t, cfg)
}

// startLogging is start with the log of cfg.
func startLogging(t *testing.T, cfg config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, stop: cancel, done: make(chan struct{})}
	type addrs struct{ public, admin string }
	listening := make(chan addrs, 1)
	cfg.started = func(s *server) { r.server = s }
	cfg.listening = func(addr, admin net.Addr) {
		a := addrs{public: addr.String()}
		if admin != nil {
			a.admin = admin.String()
		}
		listening <- a
	}
	go func() {
		defer close(r.done)
		r.err = run(ctx, cfg)
	}()
	t.Cleanup(func() {
		if err := r.wait(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	select {
	case a := <-listening:
		r.addr, r.admin = a.public, a.admin
	case <-r.done:
		t.Fatalf("run: %v", r.err)
	}
	return r
}

// wait drains the server and returns what run returned.
func (r *running) wait() error {
	r.stop()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.t.Error("run did not return")
	}
	return r.err
}

// client is a WebSocket client of a test.
type client struct {
	t    *testing.T
	conn net.Conn
	rw   io.ReadWriter
}

// dial connects to target, such as "/echo", with header lines of the test's.
func (r *running) dial(target string, header http.Header) *client {
	r.t.Helper()
	c, err := dial("ws://"+r.addr+target, header)
	if err != nil {
		r.t.Fatalf("dial %s: %v", target, err)
	}
	r.t.Cleanup(func() { c.conn.Close() })
	c.t = r.t
	return c
}

func dial(url string, header http.Header) (*client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}
	if offers := header.Get("Sec-WebSocket-Protocol"); offers != "" {
		header = header.Clone()
		header.Del("Sec-WebSocket-Protocol")
		d.Header, d.Protocols = ws.HandshakeHeaderHTTP(header), strings.Split(offers, ", ")
	}
	conn, br, _, err := d.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	c := &client{conn: conn, rw: conn}
	if br != nil { // frames came with the handshake's answer
		c.rw = struct {
			io.Reader
			io.Writer
		}{br, conn}
	}
	return c, nil
}

// patient gives what comes next its time: how long the client has been there, and what
// others had to do meanwhile, does not count.
func (c *client) patient() { _ = c.conn.SetDeadline(time.Now().Add(patience)) }

func (c *client) send(op ws.OpCode, text string) {
	c.t.Helper()
	c.patient()
	if err := wsutil.WriteClientMessage(c.rw, op, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads one message, which must be text of kind op.
func (c *client) expect(op ws.OpCode, text string) {
	c.t.Helper()
	c.patient()
	got, gotOp, err := wsutil.ReadServerData(c.rw)
	if err != nil || string(got) != text || gotOp != op {
		c.t.Fatalf("received %q (opcode %d, %v), want %q (opcode %d)", got, gotOp, err, text, op)
	}
}

// frame reads one frame.
func (c *client) frame() (ws.OpCode, []byte) {
	c.t.Helper()
	c.patient()
	h, err := ws.ReadHeader(c.rw)
	if err != nil || h.Length > 1<<20 {
		c.t.Fatalf("no frame: %+v, %v", h, err)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(c.rw, payload); err != nil {
		c.t.Fatal(err)
	}
	return h.OpCode, payload
}

// expectClose reads until the server's Close frame.
func (c *client) expectClose(code ws.StatusCode, reason string) {
	c.t.Helper()
	op, payload := c.frame()
	for op != ws.OpClose {
		op, payload = c.frame()
	}
	gotCode, gotReason := ws.ParseCloseFrameData(payload)
	if gotCode != code || gotReason != reason {
		c.t.Fatalf("closed with %d %q, want %d %q", gotCode, gotReason, code, reason)
	}
}

// get asks for a path by HTTP.
func (r *running) get(path string) (status int, body string) {
	r.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get("http://" + r.addr + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// child is wsd as a process of its own.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	addr   string
	stderr lockedBuffer
	read   chan struct{} // closed when stderr has ended
}

// spawn starts `wsd args` and waits until it listens.
func spawn(t *testing.T, args ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asMain+"=1")
	return spawnCommand(t, cmd)
}

// spawnCommand is spawn for a command that starts wsd.
func spawnCommand(t *testing.T, cmd *exec.Cmd) *child {
	t.Helper()
	args := cmd.Args
	c := &child{t: t, cmd: cmd, read: make(chan struct{})}
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.cmd.Process.Kill(); <-c.read; c.cmd.Wait() })
	listening := make(chan string, 1)
	go func() {
		defer close(c.read)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			c.stderr.Write(append(lines.Bytes(), '\n'))
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
				listening <- line.Address
			}
		}
	}()
	select {
	case c.addr = <-listening:
	case <-c.read:
		t.Fatalf("wsd %v ended before it listened:\n%s", args, &c.stderr)
	case <-time.After(patience):
		t.Fatalf("wsd %v does not listen:\n%s", args, &c.stderr)
	}
	return c
}

// exit waits for the process and returns its exit code.
func (c *child) exit() int {
	c.t.Helper()
	select {
	case <-c.read:
	case <-time.After(patience):
		c.t.Fatalf("wsd does not end:\n%s", &c.stderr)
	}
	c.cmd.Wait()
	return c.cmd.ProcessState.ExitCode()
}

// lockedBuffer is a buffer for two goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// execute runs wsd in this process and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &process{ctx: ctx, stdout: stdout, stderr: stderr, args: args}
	return p.execute()
}

func TestExecute(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	free := net.JoinHostPort("127.0.0.1", strconv.Itoa(testkit.FreePort(t)))
	tests := []struct {
		name string
		args []string
		env  string // WSD_MAX_PAYLOAD
		code int
		says string
	}{
		{"version", []string{"version"}, "", 0, "wsd dev go"},
		{"unknown flag", []string{"serve", "--nosuch"}, "", exitUsage, "--nosuch"},
		{"unknown command", []string{"serf"}, "", exitUsage, "serf"},
		{"size", []string{"--max-payload", "lots"}, "", exitUsage, "lots"},
		{"size in the environment", nil, "lots", exitUsage, "lots"},
		{"compression", []string{"--compression", "zip"}, "", exitUsage, "zip"},
		{"policy", []string{"--backpressure-policy", "wait"}, "", exitUsage, "wait"},
		{"unlimited payload", []string{"--max-payload", "unlimited"}, "", exitUsage, "--max-payload"},
		{"loops", []string{"--loops=-1"}, "", exitUsage, "--loops"},
		{"connections", []string{"--max-connections", "0"}, "", exitUsage, "--max-connections"},
		{"drain timeout", []string{"echo", "--drain-timeout", "0s"}, "", exitUsage, "--drain-timeout"},
		{"balancers' wait", []string{"--drain-lb-wait", "30s"}, "", exitUsage, "--drain-lb-wait"},
		{"origin", []string{"--origins", "example.org"}, "", exitUsage, "https://app.example.org"},
		{"address", []string{"--listen", "3000"}, "", exitUsage, "host:port"},
		{"not loopback", []string{"--listen", "0.0.0.0:0"}, "", exitUsage, "--anonymous"},
		{"every interface", []string{"--listen", ":0"}, "", exitUsage, "--anonymous"},
		{"not loopback, IPv6", []string{"echo", "--listen", "[::]:0"}, "", exitUsage, "--anonymous"},
		{"port in use", []string{"--listen", busy.Addr().String()}, "", exitBind, busy.Addr().String()},
		{"bench mode", []string{"bench", "speed"}, "", exitUsage, "speed"},
		{"bench URL", []string{"bench", "--url", "http://x"}, "", exitUsage, "ws://"},
		{"bench without server", []string{"bench", "--url", "ws://" + free, "--duration", "1s"}, "", exitFailure, free},
		{"Socket.IO path", []string{"--sio-path", "/"}, "", exitUsage, "--sio-path"},
		{"Socket.IO payload", []string{"--sio-max-payload", "unlimited"}, "", exitUsage, "--sio-max-payload"},
		{"heartbeat", []string{"--ping-interval", "0s"}, "", exitUsage, "--ping-interval"},
		{"recovery", []string{"--recovery=-1s"}, "", exitUsage, "--recovery"},
		{"server id", []string{"--server-id", "a;b"}, "", exitUsage, "--server-id"},
		{"affinity cookie", []string{"--affinity-cookie", "a b"}, "", exitUsage, "--affinity-cookie"},
		{"CORS origin", []string{"--cors-origin", "example.org"}, "", exitUsage, "--cors-origin"},
		{"CORS credentials", []string{"--cors-origin", "*", "--cors-credentials"}, "", exitUsage, "--cors-credentials"},
		{"join pattern", []string{"--sio-allow-join", "room/{x}"}, "", exitUsage, "--sio-allow-join"},
		{"relay pattern", []string{"--sio-relay", "say=***"}, "", exitUsage, "--sio-relay"},
		{"relay of a reserved event", []string{"--sio-relay", "disconnect"}, "", exitUsage, "--sio-relay"},
		{"relay of join", []string{"--sio-relay", "join=*"}, "", exitUsage, "--sio-relay"},
		{"relay without event", []string{"--sio-relay", "/chat:=*"}, "", exitUsage, "--sio-relay"},
		{"relay of a namespace", []string{"--sio-relay", "/chat"}, "", exitUsage, "--sio-relay"},
		{"namespace", []string{"--sio-namespace", "chat"}, "", exitUsage, "--sio-namespace"},
		{"client folder", []string{"--client-dir", t.TempDir()}, "", exitUsage, "--client-dir"},
		{"two secrets", []string{"--jwt-secret", "x", "--jwt-secret-file", "y"}, "", exitUsage, "--jwt-secret"},
		{"secret's file", []string{"--jwt-secret-file", filepath.Join(t.TempDir(), "none")}, "", exitUsage, "--jwt-secret-file"},
		{"public key's file", []string{"--jwt-public-key", filepath.Join(t.TempDir(), "none")}, "", exitUsage, "--jwt-public-key"},
		{"key set by http", []string{"--jwks-url", "http://keys.example.org/"}, "", exitUsage, "https"},
		{"two key sets", []string{"--jwks-url", "https://a.example/,https://b.example/"}, "", exitUsage, "issuer"},
		{"algorithm", []string{"--jwt-secret", "x", "--jwt-algorithms", "none"}, "", exitUsage, "none"},
		{"user id's source", []string{"--insecure-user-from", "userId"}, "", exitUsage, "auth.NAME"},
		{"user id beside tokens", []string{"--insecure-user-from", "auth.x", "--jwt-secret", "x"}, "", exitUsage, "--insecure-user-from"},
		{"user id is no authentication", []string{"--insecure-user-from", "auth.x", "--listen", "0.0.0.0:0"}, "", exitUsage, "--anonymous"},
		{"token without secret", []string{"token", "ann"}, "", exitUsage, "--jwt-secret"},
		{"token with a bad pattern", []string{"token", "ann", "--jwt-secret", "x", "--allow-join", "{x}"}, "", exitUsage, "allow.join"},
		{"token without user", []string{"token", "--jwt-secret", "x"}, "", exitUsage, "user"},
		{"profile", []string{"--listen", "127.0.0.1:0", "--cpu-profile", t.TempDir()}, "", exitFailure, "directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.env != "" {
				t.Setenv("WSD_MAX_PAYLOAD", tt.env)
			}
			var out bytes.Buffer
			code := execute(context.Background(), tt.args, &out, &out)
			if code != tt.code || !strings.Contains(out.String(), tt.says) {
				t.Errorf("exit code %d, want %d; output, want %q in it:\n%s", code, tt.code, tt.says, &out)
			}
		})
	}
}

func TestNoCommandIsServe(t *testing.T) {
	c := parse(t, "--listen", "127.0.0.1:7")
	if c.Serve.Listen != "127.0.0.1:7" || c.Serve.IdleTimeout != 2*time.Minute {
		t.Errorf("%+v", c.Serve)
	}
	if c := parse(t, "echo"); c.Echo.Listen != "127.0.0.1:9001" || c.Echo.IdleTimeout != time.Minute || c.Echo.MaxPayload != 16<<10 {
		t.Errorf("%+v", c.Echo)
	}
}
