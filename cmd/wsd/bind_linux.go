package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listenState is that of a listening socket in /proc/net/tcp.
const listenState = "0A"

// portHolder finds the process that listens on a TCP port, 0 where /proc does not
// tell: the process may be another user's.
func portHolder(port int) (pid int, name string) {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != listenState {
				continue
			}
			at := strings.LastIndexByte(f[1], ':')
			if n, err := strconv.ParseUint(f[1][at+1:], 16, 16); err == nil && int(n) == port {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	if len(sockets) == 0 {
		return 0, ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && sockets[target] {
			process := filepath.Dir(filepath.Dir(fd))
			comm, _ := os.ReadFile(filepath.Join(process, "comm"))
			pid, _ = strconv.Atoi(filepath.Base(process))
			return pid, strings.TrimSpace(string(comm))
		}
	}
	return 0, ""
}
