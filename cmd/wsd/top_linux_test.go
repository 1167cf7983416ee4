package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"golang.org/x/sys/unix"
)

// pseudoTerminal opens one: what is typed and shown is at the first file, the
// program sits at the second.
func pseudoTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// However wsd top ends, the terminal is as it was.
func TestTopLeavesTheTerminalAsItWas(t *testing.T) {
	r := serve(t)
	for name, leave := range map[string]func(person *os.File, cmd *exec.Cmd){
		"q":       func(person *os.File, _ *exec.Cmd) { person.WriteString("q") },
		"Ctrl-C":  func(person *os.File, _ *exec.Cmd) { person.WriteString("\x03") },
		"SIGTERM": func(_ *os.File, cmd *exec.Cmd) { cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			person, program := pseudoTerminal(t)
			if err := unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
				t.Fatal(err)
			}
			before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "top", "--admin-url", "http://"+r.admin)
			cmd.Env = append(os.Environ(), asMain+"=1", "TERM=xterm", "NO_COLOR=1")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cmd.Process.Kill() })
			var shown lockedBuffer
			go func() {
				b := make([]byte, 4096)
				for {
					n, err := person.Read(b)
					if err != nil {
						return
					}
					shown.Write(b[:n])
				}
			}()
			testkit.Eventually(t, func() bool { return strings.Contains(shown.String(), "q quit") }, patience)
			if err := unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100}); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, func() bool { return strings.Contains(shown.String(), "VERSION") }, patience) // there is room for it now
			leave(person, cmd)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, shown.String())
			}
			testkit.Eventually(t, func() bool { return strings.HasSuffix(shown.String(), leaveScreen) }, patience)
			if !strings.Contains(shown.String(), enterScreen) || bytes.Contains([]byte(shown.String()), []byte("\x1b[31m")) {
				t.Errorf("%q", shown.String())
			}
			after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			if err != nil || *after != *before {
				t.Errorf("%+v, want %+v: %v", after, before, err)
			}
		})
	}
}
