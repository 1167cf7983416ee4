//go:build amd64 || arm64 || loong64

package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/fe4bcecb/wsd/internal/poll"
	"golang.org/x/sys/unix"
)

func sendSocket(fd int, b []byte) int            { return poll.Send(fd, b) }
func sendSocketParts(fd int, parts [][]byte) int { return poll.SendParts(fd, parts) }
func receiveSocket(fd int, b []byte) int         { return poll.Recv(fd, b) }
func closeSocket(fd int)                         { _ = syscall.Close(fd) }
func shutdownSocket(fd int)                      { _ = syscall.Shutdown(fd, syscall.SHUT_WR) }
func socketAddrs(fd int) (local, peer netip.AddrPort) {
	if sa, err := unix.Getsockname(fd); err == nil {
		local = addrPort(sa)
	}
	if sa, err := unix.Getpeername(fd); err == nil {
		peer = addrPort(sa)
	}
	return local, peer
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// listenTCP opens a listening socket; share lets other sockets, of this and
// other processes, listen on the same address.
func listenTCP(addr string, share bool) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if !share {
			return nil
		}
		var err error
		if e := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); e != nil {
			return e
		}
		return err
	}}
	return lc.Listen(context.Background(), "tcp", addr)
}

var errNoDescriptor = errors.New("engine: no descriptor")

// descriptor duplicates the descriptor of a TCP or Unix socket, non-blocking.
// The original stays open.
func descriptor(v any) (int, error) {
	switch v.(type) {
	case *net.TCPListener, *net.UnixListener, *net.TCPConn, *net.UnixConn:
	default:
		return -1, errNoDescriptor
	}
	raw, err := v.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	if e := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); e != nil {
		return -1, e
	}
	if err != nil {
		return -1, err
	}
	// The mode belongs to the open file, which both descriptors share: net's is
	// non-blocking already, unless File was called on it.
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// netConn makes a net.Conn of a socket and takes the descriptor over.
func netConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	if f == nil {
		return nil, errNoDescriptor
	}
	defer f.Close()
	return net.FileConn(f)
}

// prepareListener sets what accepted sockets inherit.
func prepareListener(fd int) error {
	err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOPROTOOPT) {
		return nil // a Unix socket
	}
	if err != nil {
		return fmt.Errorf("engine: TCP_NODELAY: %w", err)
	}
	return nil
}
