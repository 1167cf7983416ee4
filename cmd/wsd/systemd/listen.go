package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// firstFD is the first descriptor that systemd passes on. sd_listen_fds(3).
const firstFD = 3

// maxListeners bounds what LISTEN_FDS is believed.
const maxListeners = 64

// Listener is a socket that the process was started with.
type Listener struct {
	Name string // FileDescriptorName= of the socket unit; by default its file's name
	net.Listener
}

// Listeners takes over the listening sockets that the process was started with, none
// if they are not meant for it. It takes the variables that say so out of the
// environment, so that a second call and child processes find none. The error names
// a descriptor that is no listening socket.
func Listeners() ([]Listener, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name)
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxListeners {
		return nil, fmt.Errorf("systemd: LISTEN_FDS=%s: want a number up to %d", count, maxListeners)
	}
	var all []Listener
	var name []string
	if names != "" {
		name = strings.Split(names, ":")
	}
	for i := range n {
		l := Listener{Name: "unknown"}
		if i < len(name) {
			l.Name = name[i]
		}
		if l.Listener, err = take(firstFD + i); err != nil {
			for _, taken := range all {
				_ = taken.Close()
			}
			return nil, fmt.Errorf("systemd: descriptor %d (%s): %w", firstFD+i, l.Name, err)
		}
		all = append(all, l)
	}
	return all, nil
}
