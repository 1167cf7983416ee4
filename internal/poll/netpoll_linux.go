//go:build amd64 || arm64 || loong64

package poll

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"github.com/cloudwego/netpoll"
)

// Poller is what netpoll hands to a callback; wsd's callbacks ignore it.
type Poller = netpoll.Poll

// Operator is one registered descriptor.
type Operator = netpoll.FDOperator

//go:linkname openPoll github.com/cloudwego/netpoll.openPoll
func openPoll() (netpoll.Poll, error)

const (
	// maxEvents bounds what one iteration takes from the kernel, and so the
	// event array, which netpoll doubles up to 131,072 entries otherwise.
	maxEvents = 1024
	// smallBatch is the number of events under which a loop expects to wait:
	// above it, asking the kernel again at once costs less than poll(2).
	smallBatch = 8
	// maxInterrupts ends a raw wait that only signals have interrupted: Go's
	// monitor sends one each 10 ms, so an idle loop gives its processor back
	// after about 100 ms.
	maxInterrupts = 10
)

// Poll is one loop's poller.
type Poll struct {
	np    netpoll.Poll
	epfd  int
	begin Begin
	turn  Turn
	// operators counts those registered and not freed.
	operators int
}

// Open makes a poller whose iterations each begin with begin and end with turn.
// Run must be called to serve it, and Close to release it.
func Open(begin Begin, turn Turn) (*Poll, error) {
	if err := selfTest(); err != nil {
		return nil, err
	}
	return open(begin, turn)
}

func open(begin Begin, turn Turn) (*Poll, error) {
	np, err := openPoll()
	if err != nil {
		return nil, fmt.Errorf("poll: %w", err)
	}
	p := &Poll{np: np, begin: begin, turn: turn}
	if err := p.install(); err != nil {
		return nil, err
	}
	return p, nil
}

// install replaces the poll's Handler by one that ends with turn, and its Reset
// by one with a bound.
func (p *Poll) install() error {
	v := reflect.ValueOf(p.np)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return errChanged("Poll is a %v", v.Type())
	}
	v = v.Elem()
	fd, handler, reset := v.FieldByName("fd"), v.FieldByName("Handler"), v.FieldByName("Reset")
	if !fd.IsValid() || fd.Kind() != reflect.Int {
		return errChanged("no field fd")
	}
	if !handler.IsValid() || !sameEvents(handler.Type()) {
		return errChanged("no Handler func([]epollevent) bool")
	}
	if !reset.IsValid() || reset.Type() != reflect.TypeFor[func(int, int)]() {
		return errChanged("no Reset func(int, int)")
	}
	p.epfd = int(fd.Int())

	h := (*func([]event) bool)(unsafe.Pointer(handler.UnsafeAddr()))
	handle := *h
	*h = func(events []event) bool {
		p.begin()
		for i := range events {
			events[i].events = readable(events[i].events)
		}
		if handle(events) {
			return true
		}
		p.endIteration(len(events))
		return false
	}
	r := (*func(int, int))(unsafe.Pointer(reset.UnsafeAddr()))
	resize := *r
	size := 0
	*r = func(n, caps int) {
		// netpoll calls Reset at each full iteration; its per-event I/O vectors
		// (caps) are unused with OnRead and OnWrite.
		if n > maxEvents || n == size {
			return
		}
		size = n
		resize(n, 1)
	}
	return nil
}

// sameEvents reports whether t is func([]T) bool with T laid out as event.
func sameEvents(t reflect.Type) bool {
	if t.Kind() != reflect.Func || t.NumIn() != 1 || t.NumOut() != 1 ||
		t.In(0).Kind() != reflect.Slice || t.Out(0).Kind() != reflect.Bool {
		return false
	}
	e := t.In(0).Elem()
	if e.Kind() != reflect.Struct || e.Size() != unsafe.Sizeof(event{}) {
		return false
	}
	f, ok := e.FieldByName("events")
	return ok && f.Offset == unsafe.Offsetof(event{}.events) && f.Type.Kind() == reflect.Uint32
}

// readable turns every kind of hang-up into readability. netpoll would detach
// the descriptor and call OnHup on a goroutine of its own, with bytes unread;
// a read on the loop meets the same end in order.
func readable(events uint32) uint32 {
	const hup = syscall.EPOLLHUP | syscall.EPOLLRDHUP | syscall.EPOLLERR
	if events&hup == 0 {
		return events
	}
	return events&^hup | syscall.EPOLLIN
}

func errChanged(format string, args ...any) error {
	return fmt.Errorf("poll: netpoll is not the version that wsd is built for: "+format, args...)
}

// Run serves the poller on the calling goroutine until Close.
func (p *Poll) Run() error { return p.np.Wait() }

// Wake makes the loop begin an iteration. Safe from any goroutine, and cheap
// when a wake-up is already on its way.
func (p *Poll) Wake() error { return p.np.Trigger() }

// Close ends Run and releases the poller. No other method may be called after.
func (p *Poll) Close() error { return p.np.Close() }

// endIteration runs the turn and waits as it says.
func (p *Poll) endIteration(events int) {
	switch p.turn(events) {
	case WaitRaw:
		if events < smallBatch {
			p.waitRaw()
		}
	case WaitNone:
		// An error means that the wake-up is there already or the poll is gone.
		_ = p.np.Trigger()
	}
}

type pollfd struct {
	fd      int32
	events  int16
	revents int16
}

// waitRaw blocks in ppoll(2) without telling Go's scheduler.
func (p *Poll) waitRaw() {
	fd := pollfd{fd: int32(p.epfd), events: 1 /* POLLIN */}
	for range maxInterrupts {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&fd)), 1, 0, 0, 0, 0)
		if errno != syscall.EINTR {
			return
		}
		runtime.Gosched()
	}
}

// Register watches fd for input: onRead is called on the loop as long as there
// is something to read, a hang-up or an error. Call on the loop, or before Run.
func (p *Poll) Register(fd int, onRead func(Poller) error) (*Operator, error) {
	op := p.np.Alloc()
	op.FD = fd
	op.OnRead = onRead
	if err := op.Control(netpoll.PollReadable); err != nil {
		_ = op.Control(netpoll.PollDetach)
		op.OnRead = nil
		op.Free()
		return nil, err
	}
	p.operators++
	return op, nil
}

// Operators is how many operators are registered and not freed. Call on the
// loop.
func (p *Poll) Operators() int { return p.operators }

// ArmWrite has onWrite called as long as the descriptor takes output.
func ArmWrite(op *Operator, onWrite func(Poller) error) error {
	op.OnWrite = onWrite
	return op.Control(netpoll.PollR2RW)
}

// DisarmWrite ends what ArmWrite began.
func DisarmWrite(op *Operator) error { return op.Control(netpoll.PollRW2R) }

// Detach stops watching the descriptor; call it before the descriptor closes.
// Events of the running iteration may still arrive.
func Detach(op *Operator) error { return op.Control(netpoll.PollDetach) }

// Free gives a detached operator back. Call from the turn only: inside one of
// its own callbacks it would spin forever.
func (p *Poll) Free(op *Operator) {
	p.operators--
	op.Free()
}

var (
	testOnce sync.Once
	errTest  error
)

// selfTest proves once per process, on a poller of its own, that a registered
// descriptor gets its callback, that the turn follows, and that Close ends Run.
func selfTest() error {
	testOnce.Do(func() { errTest = trial() })
	return errTest
}

func trial() error {
	var reads, turns, begun int
	p, err := open(func() { begun++ }, func(int) Wait {
		turns++
		return WaitAnnounced
	})
	if err != nil {
		return err
	}
	fds, err := pipe()
	if err != nil {
		return err
	}
	defer syscall.Close(fds[0])
	defer syscall.Close(fds[1])
	var op *Operator
	op, err = p.Register(fds[0], func(Poller) error {
		reads++
		_ = Detach(op)
		return p.Close()
	})
	if err != nil {
		return fmt.Errorf("poll: self-test: %w", err)
	}
	if _, err := syscall.Write(fds[1], []byte{1}); err != nil {
		return fmt.Errorf("poll: self-test: %w", err)
	}
	if err := p.Run(); err != nil {
		return fmt.Errorf("poll: self-test: %w", err)
	}
	if reads != 1 || turns == 0 || begun < turns {
		return errChanged("self-test saw %d reads, %d turns, and %d of them begin", reads, turns, begun)
	}
	return nil
}

func pipe() ([2]int, error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC); err != nil {
		return fds, fmt.Errorf("poll: self-test: %w", errors.Join(err))
	}
	return fds, nil
}
