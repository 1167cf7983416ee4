package testkit

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the process end when the test's does, however that ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
