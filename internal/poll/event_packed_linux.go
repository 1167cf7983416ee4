//go:build amd64

package poll

// event is the kernel's epoll_event, packed on this architecture.
type event struct {
	events uint32
	_      [8]byte
}
