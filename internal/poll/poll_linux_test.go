//go:build amd64 || arm64 || loong64

package poll

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }

// loop runs a poller whose turns are counted, and hands over what is posted.
type loop struct {
	*Poll
	turns atomic.Int64
	jobs  chan func()
	done  chan error
}

func start(t *testing.T, wait Wait) *loop {
	t.Helper()
	l := &loop{jobs: make(chan func(), 16), done: make(chan error, 1)}
	p, err := Open(func() {}, func(int) Wait {
		l.turns.Add(1)
		for {
			select {
			case job := <-l.jobs:
				job()
			default:
				return wait
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Poll = p
	go func() { l.done <- p.Run() }()
	t.Cleanup(func() {
		l.do(t, func() { _ = p.Close() })
		if err := <-l.done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return l
}

// do runs fn on the loop and waits for it.
func (l *loop) do(t *testing.T, fn func()) {
	t.Helper()
	ran := make(chan struct{})
	l.jobs <- func() { fn(); close(ran) }
	if err := l.Wake(); err != nil {
		t.Fatal(err)
	}
	<-ran
}

func pair(t *testing.T) (near, far int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Close(fds[0])
		_ = syscall.Close(fds[1])
	})
	return fds[0], fds[1]
}

// What a peer wrote before it hung up is read on the loop, and then the end; no
// other goroutine is told, and nothing is lost.
func TestHangUpIsReadAfterTheBytes(t *testing.T) {
	for name, wait := range map[string]Wait{"announced": WaitAnnounced, "raw": WaitRaw} {
		t.Run(name, func(t *testing.T) {
			l := start(t, wait)
			near, far := pair(t)
			const size = 20_000
			got, ended := 0, make(chan int, 1)
			var op *Operator
			l.do(t, func() {
				var err error
				op, err = l.Register(near, func(Poller) error {
					n := Recv(near, make([]byte, 4096))
					if n > 0 {
						got += n
						return nil
					}
					_ = Detach(op)
					ended <- got
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
			if n := Send(far, make([]byte, size)); n != size {
				t.Fatalf("sent %d", n)
			}
			if err := syscall.Shutdown(far, syscall.SHUT_RDWR); err != nil {
				t.Fatal(err)
			}
			if n := <-ended; n != size {
				t.Errorf("read %d of %d bytes before the end", n, size)
			}
			l.do(t, func() {
				l.Free(op)
				if n := l.Operators(); n != 0 {
					t.Errorf("%d operators left", n)
				}
			})
		})
	}
}

// A full socket takes nothing; armed, the loop is told when it does again.
func TestWriteIsToldWhenThereIsRoom(t *testing.T) {
	l := start(t, WaitRaw)
	near, far := pair(t)
	room := make(chan struct{}, 1)
	var op *Operator
	l.do(t, func() {
		var err error
		if op, err = l.Register(near, func(Poller) error { return nil }); err != nil {
			t.Error(err)
		}
	})
	chunk := make([]byte, 64<<10)
	sent := 0
	for {
		n := SendParts(near, [][]byte{chunk[:100], chunk})
		sent += n
		if n < 100+len(chunk) {
			break
		}
	}
	if n := Send(near, chunk); n != 0 {
		t.Fatalf("a full socket took %d bytes", n)
	}
	l.do(t, func() {
		err := ArmWrite(op, func(Poller) error {
			_ = DisarmWrite(op)
			room <- struct{}{}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	for sent > 0 {
		sent -= max(Recv(far, chunk), 0)
	}
	<-room
	l.do(t, func() {
		_ = Detach(op)
		l.jobs <- func() { l.Free(op) }
	})
}

func TestSocketCallsTellTheirEnds(t *testing.T) {
	near, far := pair(t)
	buf := make([]byte, 10)
	if n := Recv(near, buf); n != WouldBlock {
		t.Errorf("nothing to read: %d", n)
	}
	if n := Send(near, nil); n != 0 {
		t.Errorf("nothing to send: %d", n)
	}
	_ = syscall.Shutdown(far, syscall.SHUT_RDWR)
	if n := Recv(near, buf); n != 0 {
		t.Errorf("end of stream: %d", n)
	}
	if n := Send(near, buf); n != -1 {
		t.Errorf("send to a closed peer: %d", n)
	}
	if n := SendParts(near, [][]byte{buf, buf}); n != -1 {
		t.Errorf("send in parts to a closed peer: %d", n)
	}
	if n := Recv(-1, buf); n != Failed {
		t.Errorf("bad descriptor: %d", n)
	}
	if n := Accept(-1); n != Failed {
		t.Errorf("bad listener: %d", n)
	}
}
