package workers

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Supported reports whether this system can have workers.
const Supported = true

// sendLetter sends a message with descriptors, whole or not at all.
func sendLetter(conn *net.UnixConn, b []byte, fds []int) error {
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err := conn.WriteMsgUnix(b, rights, nil)
	return err
}

// receiveLetter reads a message, and its descriptors, which are the caller's. At the
// end of the link the error is io.EOF.
func receiveLetter(conn *net.UnixConn, b []byte) (n int, files []*os.File, err error) {
	oob := make([]byte, unix.CmsgSpace(4*maxFiles))
	n, oobn, flags, _, err := conn.ReadMsgUnix(b, oob)
	if err != nil {
		return 0, nil, err
	}
	if oobn > 0 {
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return 0, nil, err
		}
		for i := range messages {
			fds, err := unix.ParseUnixRights(&messages[i])
			if err != nil {
				continue // other control messages are not asked for
			}
			for _, fd := range fds {
				files = append(files, os.NewFile(uintptr(fd), "passed"))
			}
		}
	}
	switch {
	case n == 0 && oobn == 0:
		return 0, nil, io.EOF
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		closeFiles(files)
		return 0, nil, errTruncated
	}
	return n, files, nil
}

// withFD calls fn with the descriptor of a connection or listener, valid meanwhile.
func withFD(v any, fn func(fd int) error) error {
	c, ok := v.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = fn(int(fd)) }); e != nil {
		return e
	}
	return err
}

// pair makes a link: the parent's end, and the child's.
func pair() (link, *os.File, error) {
	near, far, err := socketpair(unix.SOCK_SEQPACKET)
	if err != nil {
		return link{}, nil, err
	}
	return link{near}, far, nil
}

// socketpair makes two connected sockets.
func socketpair(kind int) (near *net.UnixConn, far *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	far = os.NewFile(uintptr(fds[1]), "far")
	f := os.NewFile(uintptr(fds[0]), "near")
	defer f.Close()
	nc, err := net.FileConn(f)
	if err != nil {
		_ = far.Close()
		return nil, nil, err
	}
	return nc.(*net.UnixConn), far, nil
}

// adopted makes the link of a descriptor, if it is one to this process's parent.
func adopted(fd int) (link, error) {
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	kind, kindErr := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kindErr != nil || kind != unix.SOCK_SEQPACKET || int(peer.Pid) != os.Getppid() {
		return link{}, errNotChild
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "link")
	defer f.Close()
	nc, err := net.FileConn(f)
	if err != nil {
		return link{}, err
	}
	return link{nc.(*net.UnixConn)}, nil
}

// alone has a child not get the signals of its parent's terminal, and end with the
// thread that starts it.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
