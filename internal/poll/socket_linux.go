//go:build amd64 || arm64 || loong64

package poll

import (
	"syscall"
	"unsafe"
)

// The calls below are made raw, without telling Go's scheduler: they are for
// non-blocking sockets only, and cost a loop nothing but the system call.

// Send writes b to a socket. It returns how much was taken, which is less than
// all when the socket's buffer is full, or -1 when the connection broke.
//
// Hot path: per write.
func Send(fd int, b []byte) int {
	if len(b) == 0 {
		return 0
	}
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0
		}
		return -1
	}
}

// maxParts is how many pieces SendParts takes.
const maxParts = 64

// SendParts is Send for at most 64 pieces in one write. Pieces are not empty.
func SendParts(fd int, parts [][]byte) int {
	var vec [maxParts]syscall.Iovec
	for i, p := range parts {
		vec[i].Base = unsafe.SliceData(p)
		vec[i].SetLen(len(p))
	}
	msg := syscall.Msghdr{Iov: &vec[0], Iovlen: uint64(len(parts))}
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&msg)), syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0
		}
		return -1
	}
}

// Recv reads into b. It returns the count, 0 at the end of the stream,
// WouldBlock or Failed.
//
// Hot path: per read.
func Recv(fd int, b []byte) int {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return WouldBlock
		}
		return Failed
	}
}

// Accept takes a connection from a listening socket, non-blocking and closed on
// exec. It returns WouldBlock, NoDescriptors, or Failed for a connection that
// ended before it was accepted.
func Accept(fd int) int {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), 0, 0,
			syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return WouldBlock
		case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
			return NoDescriptors
		}
		return Failed
	}
}
