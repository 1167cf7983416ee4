package workers

import (
	"os"
	"path/filepath"
)

// dirPattern names private directories, below the system's for temporary files, and
// lockName the file in them that their parent has locked while it lives.
const (
	dirPattern = "wsd-workers-*"
	lockName   = "lock"
)

// privateDir makes a directory for sockets that only this user reaches. Those that
// parents have left which were killed it removes.
func privateDir() (dir string, lock *os.File, err error) {
	removeLeft()
	if dir, err = os.MkdirTemp("", dirPattern); err != nil {
		return "", nil, err
	}
	// A name of its own until it is locked: nobody else takes it for one that was left.
	made := filepath.Join(dir, lockName+".new")
	if lock, err = os.OpenFile(made, os.O_CREATE|os.O_RDWR, 0o600); err == nil {
		if err = tryLock(lock); err == nil {
			err = os.Rename(made, filepath.Join(dir, lockName))
		}
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, lock, nil
}

// removeLeft removes this user's directories whose parent has ended. Anybody may make
// some of that name: those of others are not touched.
func removeLeft() {
	all, err := filepath.Glob(filepath.Join(os.TempDir(), dirPattern))
	if err != nil {
		return // not reached: the pattern is a good one
	}
	for _, dir := range all {
		if !private(dir) {
			continue
		}
		lock, err := openLock(filepath.Join(dir, lockName))
		if err != nil {
			continue
		}
		if tryLock(lock) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}
