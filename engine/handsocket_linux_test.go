//go:build amd64 || arm64 || loong64

package engine

import (
	"syscall"
	"testing"

	"github.com/fe4bcecb/wsd/internal/poll"
)

// socketPair returns two connected non-blocking stream sockets. The first
// belongs to the loop that it is given to.
func socketPair(t testing.TB) (near, far int) {
	t.Helper()
	near, far = rawSocketPair(t)
	t.Cleanup(func() { _ = syscall.Close(far) })
	return near, far
}

// rawSocketPair is socketPair for a caller who closes the second itself.
func rawSocketPair(t testing.TB) (near, far int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

var drainBuffer [64 << 10]byte

// drainSocket reads what has arrived at fd and returns how much it was.
func drainSocket(fd int) int {
	total := 0
	for {
		n := poll.Recv(fd, drainBuffer[:])
		if n <= 0 {
			return total
		}
		total += n
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd)
	}
}
