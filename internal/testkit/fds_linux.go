package testkit

import "os"

const fdDir = "/proc/self/fd"

// openFDs returns the open descriptors and what each refers to.
func openFDs() map[string]string {
	dir, err := os.Open(fdDir)
	if err != nil {
		return nil
	}
	names, err := dir.Readdirnames(-1)
	dir.Close() // before the links are read: its own entry is gone then
	if err != nil {
		return nil
	}
	fds := make(map[string]string, len(names))
	for _, name := range names {
		if target, err := os.Readlink(fdDir + "/" + name); err == nil {
			fds[name] = target
		}
	}
	return fds
}
