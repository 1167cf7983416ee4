//go:build arm64 || loong64

package poll

// event is the kernel's epoll_event, padded on this architecture.
type event struct {
	events uint32
	_      int32
	_      [8]byte
}
