//go:build !linux || !(amd64 || arm64 || loong64)

package poll

// Poller stands for the poller that a callback would get.
type Poller = *Poll

// Operator is one registered descriptor; there are none on this system.
type Operator struct{}

// Poll runs turns when it is woken.
type Poll struct {
	begin  Begin
	turn   Turn
	wake   chan struct{}
	closed chan struct{}
}

// Open makes a loop that serves no descriptors.
func Open(begin Begin, turn Turn) (*Poll, error) {
	return &Poll{begin: begin, turn: turn, wake: make(chan struct{}, 1), closed: make(chan struct{})}, nil
}

// Run serves the loop on the calling goroutine until Close.
func (p *Poll) Run() error {
	for {
		select {
		case <-p.closed:
			return nil
		case <-p.wake:
			p.begin()
			if p.turn(1) == WaitNone {
				_ = p.Wake()
			}
		}
	}
}

// Wake makes the loop begin an iteration. Safe from any goroutine.
func (p *Poll) Wake() error {
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

// Close ends Run. No other method may be called after.
func (p *Poll) Close() error {
	close(p.closed)
	return nil
}

// Register fails with ErrUnsupported.
func (p *Poll) Register(int, func(Poller) error) (*Operator, error) { return nil, ErrUnsupported }

// ArmWrite fails with ErrUnsupported.
func ArmWrite(*Operator, func(Poller) error) error { return ErrUnsupported }

// DisarmWrite fails with ErrUnsupported.
func DisarmWrite(*Operator) error { return ErrUnsupported }

// Detach fails with ErrUnsupported.
func Detach(*Operator) error { return ErrUnsupported }

// Operators is 0.
func (p *Poll) Operators() int { return 0 }

// Free does nothing.
func (p *Poll) Free(*Operator) {}
