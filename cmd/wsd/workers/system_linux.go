package workers

import (
	"os"
	"syscall"
)

// terminate has a worker drain, dump has it end and say where its goroutines are.
const (
	terminate = syscall.SIGTERM
	dump      = syscall.SIGABRT
)

// tryLock locks a file for as long as it is open, unless another process has.
func tryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// private reports whether a name is a directory that is this user's alone.
func private(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || info.Mode() != os.ModeDir|0o700 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// openLock opens a file to lock it, following no link and waiting for nobody.
func openLock(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}
